/** Who this node is: read from its log store, or drawn at its first start and durable before anything is said. */
import { Effect, Option } from "effect"
import { SecureRandom } from "effect/crypto"
import { InvalidRequest, type StorageFailed } from "../DistKvError.ts"
import type { Settings } from "../DistKvSettings.ts"
import type { ClusterId, Identity, Incarnation, NodeId } from "../domain/Identity.ts"
import { LogStore, type RecoveredLog } from "../LogStore.ts"

/** `count` random bytes as lower-case hexadecimal digits; from the `SecureRandom` in the context, if there is one. */
const randomHex = Effect.fnUntraced(function*(count: number): Effect.fn.Return<string> {
  const source = yield* Effect.serviceOption(SecureRandom.SecureRandom)
  const bytes = Option.isSome(source)
    ? yield* source.value.randomBytes(count)
    : SecureRandom.randomBytesUnsafe(count)
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
})

export const drawClusterId: Effect.Effect<ClusterId> = Effect.map(randomHex(16), (hex) => hex as ClusterId)

export const drawIncarnation: Effect.Effect<Incarnation> = Effect.map(randomHex(16), (hex) => hex as Incarnation)

export const drawNodeId: Effect.Effect<NodeId> = Effect.map(randomHex(4), (hex) => `n-${hex}` as NodeId)

/**
 * The identity of this directory. In one that was never used it is drawn and saved; `start: "bootstrap"` marks it as
 * founding, which the first entry of the log ends. Another node id than the directory's is refused.
 */
export const identify = Effect.fnUntraced(function*(
  settings: Settings,
  recovered: RecoveredLog
): Effect.fn.Return<Identity, InvalidRequest | StorageFailed, LogStore> {
  const { identity } = recovered
  if (identity !== null) {
    if (settings.nodeId === null || settings.nodeId === identity.nodeId) return identity
    return yield* new InvalidRequest({
      message: `this directory belongs to the node ${identity.nodeId}, not to ${settings.nodeId}; ` +
        "leave the node id out, or use another directory"
    })
  }
  const drawn: Identity = {
    nodeId: settings.nodeId ?? (yield* drawNodeId),
    incarnation: yield* drawIncarnation,
    clusterId: null,
    founding: settings.start === "bootstrap",
    raftPort: null
  }
  const store = yield* LogStore
  yield* store.saveIdentity(drawn)
  return drawn
})
