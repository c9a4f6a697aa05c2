/** The calls of the hot routes: a node's own without a fiber each, those of any other service in one. */
import {
  type DeleteOptions,
  type DeleteResult,
  directCalls,
  type DistKv,
  type Done,
  type KeyNotFound,
  type ReadEntry,
  type ReadError,
  type ReadOptions,
  type SetOptions,
  type SetResult,
  type WriteError
} from "@distkv/core"
import { Effect, type Exit } from "effect"
import type { Serving } from "./Serving.ts"

/** Gives up a call; null where there is nothing to give up: what was handed over has its one fate. */
export type Cancel = (() => void) | null

export interface HotCalls {
  readonly get: (key: string, options: ReadOptions, done: Done<ReadEntry, KeyNotFound | ReadError>) => Cancel
  readonly set: (key: string, value: Uint8Array, options: SetOptions, done: Done<SetResult, WriteError>) => Cancel
  readonly delete: (key: string, options: DeleteOptions, done: Done<DeleteResult, WriteError>) => Cancel
}

/** The hot calls of a service; `run` forks what has no direct ones. */
export const hotCalls = (kv: typeof DistKv.Service, run: Serving["run"]): HotCalls => {
  const direct = directCalls(kv)
  if (direct === undefined) {
    return {
      get: (key, options, done) => inFiber(run, () => kv.get(key, options), done),
      set: (key, value, options, done) => inFiber(run, () => kv.set(key, value, options), done),
      delete: (key, options, done) => inFiber(run, () => kv.delete(key, options), done)
    }
  }
  return {
    get: (key, options, done) => {
      direct.get(key, options, done)
      return null
    },
    set: (key, value, options, done) => {
      direct.set(key, value, options, done)
      return null
    },
    delete: (key, options, done) => {
      direct.delete(key, options, done)
      return null
    }
  }
}

/** Runs a call in a fiber of its own; what making the call throws is a defect of it. */
export const inFiber = <A, E>(
  run: Serving["run"],
  call: () => Effect.Effect<A, E>,
  done: (exit: Exit.Exit<A, E>) => void
): Cancel => {
  const fiber = run(Effect.suspend(call))
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) {
    done(exit)
    return null
  }
  fiber.addObserver(done)
  return () => fiber.interruptUnsafe()
}
