/**
 * Whether the replicas have made the same of the log: the leader compares the digests of their states now and then.
 *
 * Invariant: a node stops itself only when most voters have one digest at an index, and it has another at that index.
 * Where no digest has a majority, nobody can say who is right: all go on, and `counters.disagreements` counts it, until
 * another voter has caught up and decides.
 */
import { StorageFailed } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import { hasFeature } from "../domain/Membership.ts"
import type { PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import { isQuorum } from "../rules/Quorum.ts"
import type { NodeState } from "./NodeState.ts"

/** In election time-outs: how often digests are compared at most, and how long an answer is waited for. */
const pause = 2
const patience = 10

const diverged = (index: LogIndex) =>
  new StorageFailed({
    message: `the state of this node differs from that of most voters at entry ${index}, although it has applied the ` +
      "same log: its memory, its disk or its program is at fault. It stops, so that it answers nothing wrong. Check the " +
      "machine; then remove this member, and join a new node with an empty directory"
  })

/** A leader's side: asks, and judges the answers. */
export class Agreement {
  private readonly node: NodeState
  private nextAt = 0
  private startedAt = 0
  private index = 0 as LogIndex
  private readonly digests = new Map<NodeId, number>()
  private disagreed = false

  constructor(node: NodeState) {
    this.node = node
  }

  /** Called with every heartbeat. */
  tick(): void {
    const { machine, membership, now, parts, term } = this.node
    if (now < this.nextAt || machine.applied === this.index || !hasFeature(membership, "digests")) return
    const { current } = machine.digest
    const isOpen = this.digests.size > 0 && this.digests.size < membership.members.length
    if (current === undefined || (isOpen && now < this.startedAt + patience * parts.electionTimeout)) return
    this.startedAt = now
    this.nextAt = now + pause * parts.electionTimeout
    this.index = machine.applied
    this.disagreed = false
    this.digests.clear()
    this.digests.set(this.node.id, current)
    for (const { id } of membership.members) {
      if (id === this.node.id) continue
      this.node.send(id, { _tag: "StateDigest", term, index: this.index, digest: current, majority: false })
    }
  }

  /** Takes a follower's own digest. Throws `StorageFailed` when most voters differ from this node. */
  receive(from: NodeId, { index, digest }: PeerMessageOf<"StateDigest">): void {
    if (index !== this.index) return
    this.digests.set(from, digest)
    const { counters, id, membership, term } = this.node
    const own = this.digests.get(id)
    for (const candidate of new Set(this.digests.values())) {
      if (!isQuorum(membership, (voter) => this.digests.get(voter) === candidate)) continue
      if (candidate !== own) throw diverged(index)
      for (const [other, theirs] of this.digests) {
        if (theirs === candidate) continue
        this.node.send(other, { _tag: "StateDigest", term, index, digest: candidate, majority: true })
      }
      return
    }
    if (digest === own || this.disagreed) return
    this.disagreed = true
    counters.disagreements++
  }
}

/** A follower's side: answers once it has applied the entry that it was asked about. */
export class Testimony {
  private readonly node: NodeState
  private asked: PeerMessageOf<"StateDigest"> | null = null

  constructor(node: NodeState) {
    this.node = node
  }

  receive(message: PeerMessageOf<"StateDigest">): void {
    this.asked = message
  }

  /** Ends a turn. Throws `StorageFailed` when this node has diverged from the majority. */
  flush(): void {
    const { asked, node } = this
    if (asked === null || node.machine.applied < asked.index) return
    this.asked = null
    const digest = node.machine.digest.at(asked.index)
    if (digest === undefined || asked.term !== node.term || node.leader === null || node.leader === node.id) return
    if (!asked.majority) {
      node.send(node.leader, { _tag: "StateDigest", term: asked.term, index: asked.index, digest, majority: false })
    } else if (digest !== asked.digest) throw diverged(asked.index)
  }
}
