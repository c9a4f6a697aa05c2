/**
 * Property tests of a service of your own against partitions, pauses and crashes:
 *
 * ```ts
 * simulate({
 *   seeds: 50,
 *   tag: TicketShop,
 *   service: TicketShop.layer,
 *   property: () => {
 *     const sold = new Set<number>()
 *     return {
 *       client: (shop, name) => Effect.map(shop.buy(name), (seat) => assert.isFalse(sold.has(seat)) ?? sold.add(seat)),
 *       verify: (shop) => Effect.map(shop.sold, (seats) => assert.includeMembers(seats, [...sold]))
 *     }
 *   }
 * })
 * ```
 *
 * Each seed is a cluster of production nodes in a world of its own. The service runs on every node over that node's
 * `DistKv`. Clients call it again and again while faults come and go; then all faults end, the cluster recovers, and
 * `verify` runs on every node. What fails names the seed that shows it, and `only` runs that seed again.
 */
import { Cause, type Context, Effect, Exit, type Layer } from "effect"
import type { DistKv } from "../DistKv.ts"
import type { SettingsInput } from "../DistKvSettings.ts"
import { Adversary } from "./Adversary.ts"
import { calmNetwork } from "./NetworkFaults.ts"
import { makePrng } from "./Prng.ts"
import { SimCluster } from "./SimCluster.ts"
import { drawPlan, type FaultClass, faultClasses, type SimPlan } from "./SimPlan.ts"

/** What is done and expected in one run; made anew for each, so it may keep notes of its own. */
export interface Property<Service> {
  /**
   * What a client does, again and again. A typed error is its own affair; a defect, such as a failed assertion, fails
   * the run.
   */
  readonly client: (service: Service, client: string) => Effect.Effect<unknown, unknown>
  /** What must hold on every node once all faults have ended and the clients rest. */
  readonly verify: (service: Service, node: string) => Effect.Effect<unknown, unknown>
}

export interface SimulateOptions<Id, Service> {
  /** How many seeds; default 20. */
  readonly seeds?: number | undefined
  /** Run this seed only, to look at a failure. */
  readonly only?: number | undefined
  /** Default 3. */
  readonly nodes?: number | undefined
  /** Which faults may happen, each in about half of the runs; default `commonFaults`. */
  readonly faults?: ReadonlyArray<FaultClass> | undefined
  /** Simulated milliseconds with faults; default 10,000. */
  readonly faultMs?: number | undefined
  readonly settings?: SettingsInput | undefined
  /** The key of the service under test, … */
  readonly tag: Context.Key<Id, Service>
  /** … and its Layer, which is built on every node. */
  readonly service: Layer.Layer<Id, unknown, DistKv>
  /** Clients on each node; default 2. */
  readonly clientsPerNode?: number | undefined
  readonly property: () => Property<Service>
}

/** Faults that a service notices: of the network, and of the processes. */
export const commonFaults: ReadonlyArray<FaultClass> = [
  "drop",
  "delay",
  "duplicate",
  "reorder",
  "isolate",
  "partition",
  "oneWay",
  "partial",
  "pause",
  "crash",
  "crashAll",
  "transfer",
  "fuzz"
]

/** Runs the property over its seeds; throws at the first that fails. */
export const simulate = <Id, Service>(options: SimulateOptions<Id, Service>): void => {
  const seeds = options.only === undefined
    ? Array.from({ length: options.seeds ?? 20 }, (_, i) => i + 1)
    : [options.only]
  for (const seed of seeds) simulateSeed(options, seed)
}

const simulateSeed = <Id, Service>(options: SimulateOptions<Id, Service>, seed: number): void => {
  const faults = options.faults ?? commonFaults
  const plan = drawPlan(seed, {
    nodes: options.nodes ?? 3,
    faultMs: options.faultMs ?? 10_000,
    off: faultClasses.filter((name) => !faults.includes(name))
  })
  const cluster = SimCluster.make<Id>({
    seed,
    nodes: plan.nodes,
    app: options.service,
    settings: { electionTimeout: plan.electionTimeoutMs, heartbeat: plan.electionTimeoutMs / 5, ...options.settings },
    fuzz: plan.fuzz,
    replay: `simulate({ only: ${seed}, … })`
  })
  const property = options.property()
  const load = { isOn: true }
  attendClients(cluster, options, property, load)
  cluster.start()
  const adversary = new Adversary(cluster, plan, { onStart: () => {}, burst: () => {} })
  adversary.begin()
  cluster.run(plan.faultMs)
  adversary.end()
  recover(cluster, plan)
  load.isOn = false
  cluster.run(5000)
  for (const id of cluster.ids) verifyNode(cluster, options.tag, property, id)
}

/** Clients begin with each run of a node, and end with it. */
const attendClients = <Id, Service>(
  cluster: SimCluster<Id>,
  { clientsPerNode = 2, tag }: SimulateOptions<Id, Service>,
  property: Property<Service>,
  load: { readonly isOn: boolean }
): void => {
  for (const node of cluster.nodes.values()) {
    node.onUp = (up) => {
      const random = makePrng(cluster.world.seed).fork(`clients ${up.id} ${up.runs}`)
      const use = Effect.fnUntraced(function*(client: string): Effect.fn.Return<never, never, Id> {
        const service = yield* tag
        while (true) {
          if (load.isOn) {
            const exit = yield* Effect.exit(property.client(service, client))
            if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) fail(cluster, up.id, exit.cause)
          }
          yield* Effect.sleep(random.exponential(20))
        }
      })
      for (let i = 1; i <= clientsPerNode; i++) up.fork(use(`${up.id}.${up.runs}.${i}`))
    }
  }
}

const recover = <Id>(cluster: SimCluster<Id>, plan: SimPlan): void => {
  Object.assign(cluster.network.faults, calmNetwork())
  cluster.mend()
  cluster.until("a leader after all faults", () => cluster.leaderServes(), 20 * plan.electionTimeoutMs)
}

const verifyNode = <Id, Service>(
  cluster: SimCluster<Id>,
  tag: Context.Key<Id, Service>,
  property: Property<Service>,
  id: string
): void => {
  const exit = cluster.exit(id, Effect.flatMap(tag, (service) => property.verify(service, id)))
  if (Exit.isFailure(exit)) fail(cluster, id, exit.cause)
  cluster.check()
}

const fail = <Id>(cluster: SimCluster<Id>, id: string, cause: Cause.Cause<unknown>): void =>
  cluster.world.violate("property", `does not hold on ${id}: ${Cause.pretty(cause)}`)
