/**
 * The world that a script plays in: a simulated cluster whose links and disks take the same time for every message, so
 * that the order of events follows from what is sent and not from what is drawn.
 */
import type { Exit, Fiber } from "effect"
import type { NodeId } from "../../src/domain/Identity.ts"
import { voterIds } from "../../src/domain/Membership.ts"
import type { NodeView } from "../../src/state/Observer.ts"
import type { Packet, PacketFate } from "../../src/testing/NetworkFaults.ts"
import { SimCluster, type SimClusterOptions } from "../../src/testing/SimCluster.ts"
import { ScriptFailed } from "./Script.ts"
import { Trace } from "./Trace.ts"

/** A call of a client, under way or ended. */
export interface Call {
  readonly fiber: Fiber.Fiber<string, unknown>
  /** What a write wrote, for the audit at the end. */
  readonly write: { readonly key: string; readonly value: string } | null
}

/** What a node showed of itself after its last batch. */
export interface Seen {
  readonly role: string
  readonly term: number
  readonly commit: number
  readonly applied: number
  readonly revision: number
  readonly first: number
  readonly last: number
  readonly leader: string | null
  readonly voters: ReadonlyArray<string>
  readonly members: ReadonlyArray<string>
  readonly pendingWrites: number
  readonly pendingReads: number
}

interface Rule {
  readonly fate: PacketFate
  readonly matches: (packet: Packet) => boolean
}

const linkMs = 1
const writeMs = 0.2

export class ScriptWorld {
  readonly trace = new Trace()
  readonly calls = new Map<string, Call>()
  /** Answers that writes got: the key, the value, and the revision. */
  readonly acknowledged: Array<{ readonly key: string; readonly value: string; readonly revision: number }> = []
  readonly variables = new Map<string, number>()
  readonly seen = new Map<string, Seen>()
  /** Everything sent since the last mark. */
  packets: Array<Packet> = []
  /** Only this node may ask for votes. */
  electing: string | null = null
  /** Whether the cluster is to be whole and equal at the end. */
  converges = true
  private rules: ReadonlyArray<Rule> = []
  private made: SimCluster | null = null

  get cluster(): SimCluster {
    if (this.made === null) throw new ScriptFailed("there is no cluster yet: begin with `cluster 3`")
    return this.made
  }

  make(options: SimClusterOptions): void {
    const cluster = SimCluster.make(options)
    this.made = cluster
    const { faults } = cluster.network
    faults.minDelayMs = linkMs
    faults.meanDelayMs = 0
    for (const id of cluster.ids) this.calm(id)
    cluster.network.filter = (packet) => this.fateOf(packet)
    cluster.view.add({
      id: "script",
      title: "what a script sees",
      stepped: (_, view) => this.note(view),
      started: (node) => this.seen.delete(node.id)
    })
  }

  /** Gives a node's disk the same time for every write. */
  calm(id: string): void {
    const { logDevice, stateDevice } = this.cluster.node(id).disk
    for (const { faults } of [logDevice, stateDevice]) {
      faults.minDelayMs = writeMs
      faults.meanDelayMs = 0
    }
  }

  rule(fate: PacketFate, matches: (packet: Packet) => boolean): void {
    this.rules = [{ fate, matches }, ...this.rules]
  }

  pass(): void {
    this.rules = []
  }

  /** A node's record and disk, by the name that a script gives. */
  node(id: string) {
    return this.cluster.node(id)
  }

  record(id: string) {
    return this.cluster.view.node(id as NodeId)
  }

  /** What the node showed last; fails when it does not run. */
  last(id: string): Seen {
    const seen = this.seen.get(this.node(id).id)
    if (seen === undefined) throw new ScriptFailed(`${id} has shown nothing of itself yet`)
    return seen
  }

  exitOf(name: string): Exit.Exit<string, unknown> | undefined {
    const call = this.calls.get(name)
    if (call === undefined) throw new ScriptFailed(`there is no call ${name}`)
    return call.fiber.pollUnsafe()
  }

  private fateOf(packet: Packet): PacketFate {
    const { from, message, to } = packet
    this.packets.push(packet)
    const isOtherCampaign = message._tag === "VoteRequest" && this.electing !== null && from !== this.electing
    // Of campaigns that the script does not want the trace says nothing either.
    if (isOtherCampaign) return "drop"
    const fate = this.rules.find((rule) => rule.matches(packet))?.fate ?? "deliver"
    this.trace.sent(packet, fate === "deliver" && !this.cluster.network.isConnected(from, to) ? "cut" : fate)
    return fate
  }

  private note(view: NodeView): void {
    const before = this.seen.get(view.id)
    const { applied, commit, first, last, leader, membership, pending, revision, role, term } = view
    this.seen.set(view.id, {
      role,
      term,
      commit,
      applied,
      revision,
      first,
      last,
      leader,
      voters: voterIds(membership),
      members: membership.members.map((member) => member.id),
      pendingWrites: pending.writes,
      pendingReads: pending.reads
    })
    this.trace.stepped(view, before ?? null)
  }
}
