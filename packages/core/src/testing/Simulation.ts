/**
 * One random run from a seed: first everything goes wrong under load, then the faults end and the cluster has to
 * recover, serve, and agree, still under load; then the clients' history is judged.
 */
import { Context, Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import type { SettingsInput } from "../DistKvSettings.ts"
import { Adversary } from "./Adversary.ts"
import { textOf } from "./AppliedHistory.ts"
import { CalmPhase } from "./CalmPhase.ts"
import { wholeRunClasses } from "./Coverage.ts"
import { History, resultText } from "./History.ts"
import { historyChecks } from "./invariants/historyChecks.ts"
import { leftovers } from "./invariants/Quiescence.ts"
import { calmNetwork } from "./NetworkFaults.ts"
import { orderPatienceMs } from "./Operator.ts"
import { makePrng } from "./Prng.ts"
import { SequentialStore } from "./SequentialStore.ts"
import {
  type CallPace,
  type ClientParts,
  drawInput,
  perform,
  readingOnly,
  runClient,
  type Workload,
  writingOnly
} from "./SimClient.ts"
import { SimCluster } from "./SimCluster.ts"
import type { SimNode } from "./SimNode.ts"
import { clockRates, isQuiet, type SimPlan, tokenOf } from "./SimPlan.ts"
import { SimulationFailed } from "./SimulationFailed.ts"
import type { Violation } from "./SimWorld.ts"

/** What a run was and how it went. */
export interface SimReport {
  readonly token: string
  /** Equal for equal runs. */
  readonly hash: string
  readonly violation: Violation | null
  /** The last events as text; only where there is a violation. */
  readonly timeline: string
  readonly simulatedMs: number
  readonly steps: number
  readonly calls: number
  readonly answered: number
  readonly elections: number
  readonly leaderChanges: number
  /** Restarts of nodes, whatever ended them, and how often it was a power cut. */
  readonly crashes: number
  readonly powerCuts: number
  readonly entries: number
  /** Milliseconds from the end of all faults until a leader served everybody. */
  readonly recoveryMs: number
  readonly electionTimeoutMs: number
  /** How often each fault happened. */
  readonly faults: Readonly<Record<string, number>>
  /** Simulated milliseconds with faults, of minutes with at least 50 calls and one fault. */
  readonly countedMs: number
  /** What occurred, as `Coverage` names it. */
  readonly transitions: Readonly<Record<string, number>>
  readonly meetings: Readonly<Record<string, number>>
  readonly happenings: Readonly<Record<string, number>>
}

/** A simulated minute counts with at least so many calls, and one fault. */
const callsPerMinute = 50
const minuteMs = 60_000

/** Whether snapshots take so long that what comes after them may not be kept. */
const isSlow = ({ limits }: SettingsInput): boolean => (limits?.snapshotBytesPerSecond ?? 1_000_000) < 1_000_000

/** The command that runs a plan again. */
export const replayCommand = (plan: SimPlan): string => `npm run sim -- --replay ${tokenOf(plan)}`

/** Runs a plan to its end, or to the first violation; the timeline keeps so many of the last events. */
export const simulatePlan = (plan: SimPlan, events = 400): SimReport => new Simulation(plan, events).run()

class Simulation {
  private readonly plan: SimPlan
  private readonly events: number
  private readonly cluster: SimCluster
  private readonly history = new History()
  private readonly adversary: Adversary
  private serial = 0
  private isFounded = false
  private isLoaded = true
  private isCalm = false
  private recoveryMs = 0
  /** When the faults began; null before. */
  private beganAt: number | null = null
  private countedMs = 0

  constructor(plan: SimPlan, events: number) {
    this.plan = plan
    this.events = events
    const rates = clockRates(plan.classes)
    this.cluster = SimCluster.make({
      seed: plan.seed,
      nodes: plan.nodes,
      begin: plan.begin,
      settings: plan.settings,
      features: plan.features,
      fuzz: plan.fuzz,
      replay: replayCommand(plan),
      events,
      clocks: (node) => {
        const random = makePrng(plan.seed).fork(`clock ${node}`)
        return {
          rate: random.between(...rates),
          wallOffsetMs: random.between(-60_000, 60_000),
          monotonicOffsetMs: random.between(0, 1e9)
        }
      }
    })
    for (const node of this.cluster.nodes.values()) this.attend(node)
    this.adversary = new Adversary(this.cluster, plan, {
      onStart: (node) => this.attend(node),
      burst: (node, calls) => this.burst(node, calls)
    })
  }

  run(): SimReport {
    try {
      this.cluster.start(60 * this.plan.electionTimeoutMs)
      this.isFounded = true
      this.adversary.begin()
      this.suffer()
      this.recover()
      if (this.plan.hasCalm) this.beCalm()
      this.settle()
      this.judge()
      this.cluster.check()
    } catch (error) {
      if (!(error instanceof SimulationFailed)) throw error
    }
    return this.report()
  }

  /** Lets the faults happen, and counts the minutes in which enough does. */
  private suffer(): void {
    const { cluster, history, plan } = this
    this.beganAt = cluster.now
    const faults = () => Object.values(this.faultCounts()).reduce((sum, times) => sum + times, 0)
    for (let left = plan.faultMs; left > 0; left -= minuteMs) {
      const ms = Math.min(left, minuteMs)
      const before = { calls: history.calls.length, faults: faults() }
      cluster.run(ms)
      const calls = history.calls.length - before.calls
      if (calls >= callsPerMinute * ms / minuteMs && faults() > before.faults) this.countedMs += ms
    }
  }

  private pace(patientMs: number, thinkMs: number): CallPace {
    if (!this.isLoaded) return null
    // Under full load a log may outgrow its bounds many times over before a slow snapshot has reached a joining member.
    const isCalm = this.isCalm || (!this.isFounded && isSlow(this.plan.settings))
    const isStorm = !isCalm && (this.beganAt === null || !isQuiet(this.plan.pace, this.cluster.now - this.beganAt))
    return isStorm ? { thinkMs, isPatient: false } : { thinkMs: patientMs, isPatient: true }
  }

  /** Clients live and die with each run of their node. */
  private attend(node: SimNode): void {
    const { world } = this.cluster
    const end = node.onEnd
    node.onEnd = (ended) => {
      this.history.lose(ended.id, ended.runs)
      end(ended)
    }
    node.onUp = (up) => {
      if (up.host === null || up.services === null) return
      const random = world.random.fork(`clients ${up.id} ${up.runs}`)
      const { clientsPerNode, hasReaders, workload } = this.plan
      const clients = clientsPerNode + (hasReaders ? 1 : 0)
      const patientMs = this.plan.pace.quietCallMs * clients * this.plan.nodes
      for (let i = 0; i < clients; i++) {
        const client = runClient({
          node: up.id,
          run: up.runs,
          host: up.host,
          kv: Context.get(up.services, DistKv),
          history: this.history,
          random: random.fork(String(i)),
          workload: i < clientsPerNode ? workload : readingOnly(workload),
          pace: () => this.pace(patientMs, workload.thinkMs),
          nextSerial: () => ++this.serial
        })
        up.fork(client)
      }
    }
  }

  /** What a client of this node is made of; null while it does not serve. */
  private clientOf(node: SimNode, name: string, workload: Workload): ClientParts | null {
    const { host, id, runs, services } = node
    if (host === null || services === null) return null
    return {
      node: id,
      run: runs,
      host,
      kv: Context.get(services, DistKv),
      history: this.history,
      random: this.cluster.world.random.fork(`${name} ${id} ${runs} ${this.serial}`),
      workload,
      pace: () => null,
      nextSerial: () => ++this.serial
    }
  }

  private burst(node: SimNode, calls: number): void {
    const client = this.clientOf(node, "burst", writingOnly(this.plan.workload))
    if (client === null) return
    this.cluster.world.timeline.record(this.cluster.now, node.id, `${calls} writes at once`)
    for (let i = 0; i < calls; i++) node.fork(perform(client, drawInput(client, new Map())))
  }

  /** The faults end; load goes on. */
  private recover(): void {
    const { cluster, plan } = this
    this.adversary.end()
    Object.assign(cluster.network.faults, calmNetwork())
    for (const node of cluster.nodes.values()) {
      node.disk.logDevice.faults.meanDelayMs = 0.5
      node.disk.stateDevice.faults.meanDelayMs = 0.5
    }
    cluster.mend()
    const healedAt = cluster.now
    const limit = 10 * plan.electionTimeoutMs + this.snapshotsMs()
    cluster.until("a leader after all faults (I30)", () => cluster.leaderServes(), limit)
    this.recoveryMs = cluster.now - healedAt
    cluster.run(5 * plan.electionTimeoutMs)
    const before = this.history.answered()
    this.beganAt = null
    cluster.until("an answer after all faults (I30)", () => this.history.answered() > before, 10_000)
    cluster.run(1000)
  }

  /** Little goes on and little is wrong, once the orders that were given before have ended. */
  private beCalm(): void {
    const { adversary, cluster, plan } = this
    this.isCalm = true
    cluster.run(orderPatienceMs)
    const [slowestRate, fastestRate] = clockRates(plan.classes)
    const phase = new CalmPhase(cluster, cluster.world.random.fork("calm"), {
      electionTimeoutMs: plan.electionTimeoutMs,
      heartbeatMs: plan.heartbeatMs,
      equalWithinMs: this.equalWithinMs(),
      slowestRate,
      fastestRate,
      lost: adversary.lost
    })
    cluster.view.coverage.happened(phase.run())
    this.isCalm = false
  }

  /**
   * How long it may take until all others have got a snapshot: one after the other at the rate that is set, on a slow
   * clock, and each piece twice, since one that was read for somebody who had it already takes its time too.
   */
  private snapshotsMs(): number {
    const { cluster, plan } = this
    const perSecond = plan.settings.limits?.snapshotBytesPerSecond ?? Number.POSITIVE_INFINITY
    const [slowestRate] = clockRates(plan.classes)
    return 2 * (cluster.nodes.size - 1) * cluster.view.ledger.largest / (perSecond * slowestRate) * 1000
  }

  /** How long it may take until all nodes are equal. */
  private equalWithinMs(): number {
    return 60 * this.plan.electionTimeoutMs + this.snapshotsMs()
  }

  /** The load ends; everybody is answered, and all nodes come to the same state. */
  private settle(): void {
    const { cluster, history } = this
    this.isLoaded = false
    cluster.until("an answer to every call (I29)", () => history.pendingCount === 0, 10_000)
    cluster.converge(this.equalWithinMs())
    this.writeEverywhere()
    this.compareReplicas()
    this.rest()
    cluster.check()
  }

  /** Nobody wants anything any more: what nodes hold for others goes, at the latest when its deadline comes. */
  private rest(): void {
    const { view, world } = this.cluster
    // A node that is no member, or has lost what made it one, goes on asking to be one, and others hold what it asks.
    for (const node of this.cluster.nodes.values()) {
      if (node.disk.isLost || this.adversary.lost.has(node.id) || !this.cluster.isMember(node.id)) node.retire()
    }
    const limit = world.now + 12_000
    world.runWhile(limit, () => leftovers(view).length > 0)
    for (const what of leftovers(view)) world.violate("I28", what)
  }

  /** Idle and whole, every member takes a write: nothing of the time before is held against it. */
  private writeEverywhere(): void {
    const { cluster, history } = this
    for (const node of cluster.nodes.values()) {
      if (!cluster.isMember(node.id) || node.disk.isLost) continue
      const workload = { ...writingOnly(this.plan.workload), timeoutMs: [10_000, 10_000] as const }
      const client = this.clientOf(node, "last", workload)
      if (client === null) return cluster.world.violate("I30", `${node.id} does not serve`)
      // Long enough for every node to see that its disk has space again, and to write what has changed.
      cluster.run(1500)
      const begun = history.calls.length
      node.fork(perform(client, drawInput(client, new Map())))
      cluster.until("an answer to a last write (I29)", () => history.pendingCount === 0, 15_000)
      const call = history.calls[begun]
      if (call === undefined || call.result._tag === "Answered") continue
      const isRefused = call.result._tag === "Failed" && call.result.error._tag === "Overloaded"
      cluster.world.violate(isRefused ? "I28" : "I30", `a write to the idle ${node.id} ends: ${resultText(call)}`)
    }
    cluster.converge(this.equalWithinMs())
    cluster.run(200)
  }

  /** All nodes show the state that the log makes of an empty store. */
  private compareReplicas(): void {
    const { cluster } = this
    const expected = new SequentialStore()
    for (const { command } of cluster.view.applied.commands) expected.execute(command)
    for (const id of cluster.ids) {
      if (!cluster.isMember(id) || cluster.node(id).disk.isLost) continue
      for (const consistency of ["stale", "linearizable"] as const) {
        const list = Effect.flatMap(DistKv, (kv) => kv.list({ consistency, limit: 10_000 }))
        const { entries, revision } = cluster.call(id, list)
        const isEqual = revision === expected.revision && entries.length === expected.entries.size &&
          entries.every((entry) => {
            const stored = expected.entries.get(entry.key)
            return stored?.value === textOf(entry.value) && stored.modRevision === entry.modRevision &&
              stored.version === entry.version
          })
        if (!isEqual) {
          cluster.world.violate(
            "I25",
            `${id} shows ${entries.length} entries at ${revision} (${consistency}), ` +
              `the log makes ${expected.entries.size} at ${expected.revision}`
          )
        }
      }
    }
  }

  private judge(): void {
    const { history } = this
    const { applied } = this.cluster.view
    for (const [id, check] of historyChecks) {
      const problems = check(history, applied)
      if (problems[0] === undefined) continue
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ""
      this.cluster.world.violate(id, problems[0] + more)
    }
  }

  private report(): SimReport {
    const { cluster, history, plan } = this
    const { world } = cluster
    const violation = world.violations[0] ?? null
    return {
      token: tokenOf(plan),
      hash: world.timeline.hash,
      violation,
      timeline: violation === null ? "" : cluster.timeline(this.events),
      simulatedMs: cluster.now,
      steps: world.steps,
      calls: history.calls.length,
      answered: history.answered(),
      elections: cluster.view.elections,
      leaderChanges: cluster.view.leaderChanges,
      crashes: [...cluster.nodes.values()].reduce((sum, node) => sum + node.runs - 1, 0),
      powerCuts: [...cluster.nodes.values()].reduce((sum, node) => sum + node.powerCuts, 0),
      entries: cluster.view.committed.length,
      recoveryMs: this.recoveryMs,
      electionTimeoutMs: plan.electionTimeoutMs,
      faults: this.faultCounts(),
      countedMs: this.countedMs,
      transitions: Object.fromEntries(cluster.view.coverage.transitions),
      meetings: Object.fromEntries(cluster.view.coverage.meetings),
      happenings: Object.fromEntries(cluster.view.coverage.happenings)
    }
  }

  private faultCounts(): Readonly<Record<string, number>> {
    const { delivered: _, sent: __, ...network } = this.cluster.network.counts
    const wholeRun = wholeRunClasses.filter((name) => this.plan.classes.has(name)).map((name) => [name, 1] as const)
    return { ...network, ...Object.fromEntries([...wholeRun, ...this.adversary.counts]) }
  }
}
