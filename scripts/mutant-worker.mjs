// Plays seeds on a copied tree until one breaks an invariant.
import { parentPort, workerData } from "node:worker_threads"

const { entry, from, seeds, tail } = /** @type {{ entry: string, from: number, seeds: number, tail: string }} */ (
  workerData
)
const { planOf, simulatePlan } = await import(entry)
for (let seed = from; seed < from + seeds; seed++) {
  const token = `${seed}${tail}`
  const { timeline: _, violation } = simulatePlan(planOf(token), 1)
  parentPort?.postMessage({ token, violation })
  if (violation !== null) break
}
parentPort?.close()
