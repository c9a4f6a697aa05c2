/** A load at a fixed rate, in a process of its own, that can be told when something else begins. */
import { pidOf, startProgram } from "../clusters/Processes.ts"
import type { OpenLoop, Order, Part } from "./OpenLoop.ts"

const generator = new URL("OpenLoop.ts", import.meta.url)

export interface OpenLoad {
  /** What is due from now on counts apart. */
  readonly next: () => void
  /** Answers with what was due before and after each `next`, once the last replies are there or given up. */
  readonly end: () => Promise<ReadonlyArray<Part>>
}

export const openLoad = (plan: OpenLoop): OpenLoad => {
  const child = startProgram(generator, [])
  pidOf(child)
  const order = (what: Order) => child.send(what)
  const parts = new Promise<ReadonlyArray<Part>>((resolve, reject) => {
    child.once("message", (answer) => resolve(answer as ReadonlyArray<Part>))
    child.once("exit", (code) => reject(new Error(`the generator ended with ${String(code)}`)))
  })
  parts.catch(() => undefined) // whoever waits for the end is told
  child.send(plan)
  return {
    next: () => void order("next"),
    end: () => {
      order("end")
      return parts
    }
  }
}
