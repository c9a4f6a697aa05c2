/** Whether this process lives, and whether this node can serve. */
import { Effect, Result } from "effect"
import type { Serving } from "./Serving.ts"

export interface Probe {
  readonly ok: boolean
  readonly text: string
}

/** Lives as long as it answers and its node has not stopped for good; says nothing of the quorum. */
export const live = (serving: Serving): Probe =>
  serving.stopped ? { ok: false, text: "the node has stopped\n" } : { ok: true, text: "ok\n" }

/**
 * Ready when every check holds: it asks this node alone, so that a probe costs no quorum round. Becomes false before
 * anything else when the server closes.
 */
export const ready = (serving: Serving, verbose: boolean): Effect.Effect<Probe> =>
  Effect.map(Effect.result(serving.kv.status), (status) => {
    const checks = Result.isFailure(status)
      ? { leader: false, applied: false, storage: false, open: false, member: true }
      : status.success.ready
    const all = Object.entries({ ...checks, open: checks.open && !serving.draining && !serving.stopped })
    const failed = all.filter(([, holds]) => !holds).map(([name]) => name)
    const ok = failed.length === 0
    const text = verbose
      ? all.map(([name, holds]) => (holds ? `[+]${name} ok\n` : `[-]${name} failed\n`)).join("")
      : ok
      ? "ok\n"
      : `not ready: ${failed.join(", ")}\n`
    return { ok, text }
  })
