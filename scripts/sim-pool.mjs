// Worker threads that run simulations, one at a time each.
import { Worker } from "node:worker_threads"

/** @typedef {import("../packages/core/src/testing/Simulation.ts").SimReport} SimReport */

export class Pool {
  /** @param {number} size */
  constructor(size) {
    // Most of what a run allocates dies young: room for it is a sixth of the time.
    const resourceLimits = { maxYoungGenerationSizeMb: 192 }
    const script = new URL("./sim-worker.mjs", import.meta.url)
    this.workers = Array.from({ length: size }, () => new Worker(script, { resourceLimits }))
    this.free = [...this.workers]
    /** @type {Array<(worker: Worker) => void>} */
    this.waiting = []
  }

  /**
   * @param {{ token: string, events?: number }} task
   * @returns {Promise<SimReport>}
   */
  async run(task) {
    /** @type {Worker} */
    const worker = this.free.pop() ?? await new Promise((resolve) => this.waiting.push(resolve))
    const [message] = await new Promise((resolve, reject) => {
      worker.once("error", reject)
      worker.once("message", (/** @type {unknown} */ answer) => {
        worker.off("error", reject)
        resolve([answer])
      })
      worker.postMessage(task)
    })
    const next = this.waiting.shift()
    if (next === undefined) this.free.push(worker)
    else next(worker)
    if ("error" in message) throw new Error(message.error)
    return message.report
  }

  /**
   * Takes tasks from the iterator as workers become free, until there are none.
   * @template T
   * @param {Iterator<T>} tasks
   * @param {(task: T) => Promise<void>} perform
   */
  async drain(tasks, perform) {
    await Promise.all(this.workers.map(async () => {
      for (let task = tasks.next(); task.done !== true; task = tasks.next()) await perform(task.value)
    }))
  }

  async end() {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }
}
