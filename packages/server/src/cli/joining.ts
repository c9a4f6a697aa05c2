/** How a node asks to be admitted: again and again, until it is admitted or refused for good. */
import { type ClusterError, DistKv, type Shutdown } from "@distkv/core"
import { Duration, Effect } from "effect"
import { type CommandFailed, failed } from "./ExitStatus.ts"

const pause = Duration.millis(500)
const attemptTimeout = Duration.seconds(10)

const isFinal = (error: ClusterError): boolean =>
  error._tag === "InvalidRequest" || error._tag === "StorageFailed" || error._tag === "Shutdown" ||
  (error._tag === "MembershipRejected" && error.final)

/** Asks the members at `addresses` in turn. A node that belongs to a cluster already asks nobody. */
export const joinUntilAdmitted = Effect.fnUntraced(function*(
  addresses: ReadonlyArray<string>
): Effect.fn.Return<void, CommandFailed | Shutdown, DistKv> {
  const kv = yield* DistKv
  const said = new Map<string, string>()
  for (let attempt = 0;; attempt++) {
    if ((yield* kv.status).clusterId !== null) return
    const address = addresses[attempt % addresses.length]!
    const refusal = yield* kv.join(address, { timeout: attemptTimeout }).pipe(
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(error))
    )
    if (refusal === undefined) return
    if (isFinal(refusal)) return yield* failed(`${address} refuses this node for good: ${refusal.message}`)
    // The same answer is said once, not twice a second.
    if (said.get(address) !== refusal.message) {
      yield* Effect.logWarning(`${address} does not admit this node yet: ${refusal.message}`)
    }
    said.set(address, refusal.message)
    yield* Effect.sleep(pause)
  }
})
