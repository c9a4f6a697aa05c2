/** What an operator wants to read in a node's log about its place in the cluster, as it changes. */
import { DistKv, type Shutdown, type Status } from "@distkv/core"
import { Duration, Effect } from "effect"

const interval = Duration.millis(100)

/** Who leads, seen from this node; null before it belongs to a cluster. */
export const leadershipOf = ({ clusterId, leader, nodeId, term }: Status): string | null => {
  if (clusterId === null) return null
  if (leader === null) return "no leader is known"
  return leader === nodeId ? `leads in term ${term}` : `follows ${leader} in term ${term}`
}

/** Logs every change of leadership and of the disk's space, until the node is closed. */
export const narrate: Effect.Effect<never, Shutdown, DistKv> = Effect.gen(function*() {
  const kv = yield* DistKv
  let leadership: string | null = null
  let hasSpace = true
  while (true) {
    const status = yield* kv.status
    const now = leadershipOf(status)
    if (now !== null && now !== leadership) yield* Effect.logInfo(now)
    if (hasSpace && !status.ready.storage) {
      yield* Effect.logWarning(
        "the disk's free space is below its reserve: this node gives leadership away, or refuses to grow"
      )
    }
    if (!hasSpace && status.ready.storage) yield* Effect.logInfo("the disk has space again")
    leadership = now
    hasSpace = status.ready.storage
    yield* Effect.sleep(interval)
  }
})
