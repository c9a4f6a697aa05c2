/** What an operator wants to read in a node's log about its place in the cluster, as it changes. */
import { DistKv, refusalText, type Shutdown, type Status } from "@distkv/core"
import { Duration, Effect } from "effect"

const interval = Duration.millis(100)

/** Who leads, seen from this node; null before it belongs to a cluster. */
export const leadershipOf = ({ clusterId, leader, nodeId, term }: Status): string | null => {
  if (clusterId === null) return null
  if (leader === null) return "no leader is known"
  return leader === nodeId ? `leads in term ${term}` : `follows ${leader} in term ${term}`
}

/** Logs every change of leadership and of the disk's space, and members that are refused, until the node is closed. */
export const narrate: Effect.Effect<never, Shutdown, DistKv> = Effect.gen(function*() {
  const kv = yield* DistKv
  let leadership: string | null = null
  let hasSpace = true
  let refused: ReadonlyArray<string> = []
  let isWelcome = true
  while (true) {
    const status = yield* kv.status
    if (isWelcome && status.refused !== null) yield* Effect.logError(refusalText[status.refused])
    isWelcome = status.refused === null
    const rolledBack = status.members.filter((member) => member.rolledBack === true).map((member) => member.id)
    for (const id of rolledBack) {
      if (refused.includes(id)) continue
      yield* Effect.logError(
        `${id} came back without entries that it had acknowledged: its directory was put back to an older state. ` +
          "It is sent nothing and counts in no quorum; replace it by a new node, with a new name and directory"
      )
    }
    refused = rolledBack
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
