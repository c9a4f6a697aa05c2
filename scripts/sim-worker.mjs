// Runs the simulations that scripts/sim.mjs hands out, one after the other.
import { planOf, simulatePlan } from "@distkv/core/testing"
import { parentPort } from "node:worker_threads"

parentPort?.on("message", (/** @type {{ token: string, events?: number }} */ task) => {
  try {
    const report = simulatePlan(planOf(task.token), task.events)
    parentPort?.postMessage({ report })
  } catch (error) {
    // A run that cannot even be judged is a fault of the simulation itself.
    const { message, stack } = /** @type {Error} */ (error)
    parentPort?.postMessage({ error: `${task.token}: ${stack ?? message}` })
  }
})
