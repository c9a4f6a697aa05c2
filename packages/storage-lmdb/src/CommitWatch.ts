/** Watches one commit: the first that fails or gets stuck stops the store for good. */
import { StorageFailed } from "@distkv/core"
import type { FailStop } from "./Failure.ts"
import { reasonOf } from "./Failure.ts"

/**
 * A commit is looked after so many times within its limit. One timer for the whole limit would be due at once after the
 * process itself was stopped for that long, before the completion that has been waiting could be heard.
 */
const looks = 10

/** Resolves with the commit; rejects with `StorageFailed`. `name` is what is written to, as messages say it. */
export const watched = async (
  name: string,
  committed: Promise<void>,
  commitTimeoutMs: number,
  failStop: FailStop
): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  let seen = 0
  const stuck = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (++seen < looks) return
      reject(failStop.fail(`a commit to the ${name} has taken more than ${commitTimeoutMs} ms: the disk is stuck`))
    }, commitTimeoutMs / looks)
  })
  try {
    await Promise.race([committed, stuck])
  } catch (cause) {
    if (cause instanceof StorageFailed) throw cause
    const reason = await reasonOfCommit(cause)
    throw failStop.fail(`a commit to the ${name} failed: ${reasonOf(reason)}`, reason)
  } finally {
    clearInterval(timer)
  }
}

/**
 * LMDB's reason for a failed commit. It comes as another promise on the error, which would be an unhandled rejection if
 * nobody looked at it; and it may never settle, so it is given one turn of the event loop.
 */
const reasonOfCommit = async (cause: unknown): Promise<unknown> => {
  if (!(cause instanceof Error) || !("commitError" in cause) || !(cause.commitError instanceof Promise)) return cause
  const reason = cause.commitError.then(() => cause, (error: unknown) => error)
  const turn = new Promise((resolve) => {
    setImmediate(() => resolve(cause))
  })
  return await Promise.race([reason, turn])
}

/** How long a close waits for what may be under way once a commit has failed, in milliseconds; it may never answer. */
const closeAfterFailureMs = 2000

/** Whether `work` settles within that time. */
export const settlesSoon = async (work: Promise<unknown>): Promise<boolean> => {
  const late = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), closeAfterFailureMs).unref()
  })
  return await Promise.race([work.then(() => true, () => true), late])
}
