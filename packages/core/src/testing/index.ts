/**
 * `@distkv/core/testing`: a cluster of production nodes in a simulated world, for tests of distkv and of services on
 * it.
 *
 * `simulate` runs a service of your own against drawn partitions and crashes, seed after seed; `SimCluster` is the
 * world itself, driven step by step. The rest is what they are made of, and the laws that every implementation of a
 * port keeps.
 */
export { StateMachine } from "../state/StateMachine.ts"
export * from "./AppendModel.ts"
export * from "./Coverage.ts"
export * from "./EntryModel.ts"
export { addressOf } from "./Founding.ts"
export * from "./laws/LogStoreLaws.ts"
export * from "./laws/StateStoreLaws.ts"
export * from "./laws/TransportLaws.ts"
export * as TransportStation from "./laws/TransportStation.ts"
export * from "./Linearizability.ts"
export * from "./NetworkFaults.ts"
export { makePrng, type Prng } from "./Prng.ts"
export * from "./SimCluster.ts"
export * from "./SimPlan.ts"
export * from "./simulate.ts"
export * from "./Simulation.ts"
export * from "./SimulationFailed.ts"
