/**
 * What a simulated client does with sessions: some of its writes carry a key and are sent again where their outcome is
 * unknown, and of others it asks for the outcome afterwards.
 */
import { Effect } from "effect"
import type { DistKv, IdempotencyKey } from "../DistKv.ts"
import { type DistKvError, OutcomeUnknown } from "../DistKvError.ts"
import type { CallOutput } from "./History.ts"
import type { Prng } from "./Prng.ts"

type Service = DistKv["Service"]

/** How many times a keyed write is sent. */
export const mostAttempts = 3

/** One client's session, opened when it is first needed. */
export class SimSession {
  private session: string | null = null
  private next = 1
  private readonly kv: Service

  constructor(kv: Service) {
    this.kv = kv
  }

  /** The key of the next write; null where no session could be opened in time. */
  key(timeout: number): Effect.Effect<IdempotencyKey | null> {
    if (this.session !== null) return Effect.succeed({ session: this.session, sequence: this.next++ })
    return Effect.match(this.kv.openSession({ timeout }), {
      onFailure: () => null,
      onSuccess: ({ session }) => {
        this.session ??= session
        return { session: this.session, sequence: this.next++ }
      }
    })
  }
}

/** Sends a write with a key until its outcome is known, within its time; what stays unknown is said to be. */
export const insistently = (
  send: (timeout: number) => Effect.Effect<CallOutput, DistKvError>,
  timeout: number
): Effect.Effect<CallOutput, DistKvError> => {
  const attempt = (left: number): Effect.Effect<CallOutput, DistKvError> =>
    Effect.catch(send(timeout / mostAttempts), (error) =>
      error.applied !== "unknown" || left === 1
        ? Effect.fail(error)
        // Whatever a later attempt says of itself, this one may have taken effect.
        : Effect.mapError(attempt(left - 1), (later) =>
          later.applied === "no" ? new OutcomeUnknown({ message: `${error.message}; then: ${later.message}` }) : later))
  return attempt(mostAttempts)
}

/** Asks what became of a write that failed like this; null where nothing is to be asked, or nobody answers. */
export const askOutcome = (
  kv: Service,
  error: DistKvError,
  random: Prng
): Effect.Effect<"Applied" | "Refused" | "NotApplied" | null> =>
  error._tag !== "OutcomeUnknown" || error.session === undefined || error.sequence === undefined || random.chance(0.5)
    ? Effect.succeed(null)
    : Effect.match(kv.outcome(error.session, error.sequence, { timeout: 2000 }), {
      onFailure: () => null,
      onSuccess: ({ _tag }) => _tag
    })
