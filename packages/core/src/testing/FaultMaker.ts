/** What every maker of faults has at hand. */
import type { Adversary } from "./Adversary.ts"
import type { Prng } from "./Prng.ts"
import type { SimCluster } from "./SimCluster.ts"

export abstract class FaultMaker<App> {
  protected readonly adversary: Adversary<App>
  protected readonly cluster: SimCluster<App>
  protected readonly random: Prng
  protected readonly electionTimeoutMs: number

  constructor(adversary: Adversary<App>) {
    this.adversary = adversary
    this.cluster = adversary.cluster
    this.random = adversary.random
    this.electionTimeoutMs = adversary.plan.electionTimeoutMs
  }
}
