/**
 * The service as a Layer: `DistKvLayer(settings)` over whatever transport and stores an app composes it with.
 *
 * Building it opens the node, its release closes the node gracefully. `DistKvLayer.config` reads the settings from
 * Effect's `Config`; `DistKvLayer.memory` is a whole node in memory.
 */
import { Cause, type Config, Duration, Effect, Exit, Layer, Result, Schema, type Scope } from "effect"
import { DistKv } from "./DistKv.ts"
import { settingsConfig } from "./DistKvConfig.ts"
import { InvalidRequest, type StartError } from "./DistKvError.ts"
import { defaultLimits, defaultSettings, Settings, type SettingsInput } from "./DistKvSettings.ts"
import { type LogStore } from "./LogStore.ts"
import * as MemoryLogStore from "./MemoryLogStore.ts"
import * as MemoryStateStore from "./MemoryStateStore.ts"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as RaftNode from "./node/RaftNode.ts"
import * as Service from "./node/Service.ts"
import type { StateStore } from "./StateStore.ts"
import type { Transport } from "./Transport.ts"

const decode = Schema.decodeUnknownExit(Schema.toType(Settings))

const durationOf = (input: Duration.Input | undefined, fallback: Duration.Duration): Duration.Input =>
  input === undefined ? fallback : input

/** Checks settings and fills in the defaults. */
export const checkSettings = Effect.fnUntraced(function*(
  input: SettingsInput
): Effect.fn.Return<Settings, InvalidRequest> {
  const durations = yield* Effect.try({
    try: () => ({
      electionTimeout: Duration.fromInputUnsafe(durationOf(input.electionTimeout, defaultSettings.electionTimeout)),
      heartbeat: Duration.fromInputUnsafe(durationOf(input.heartbeat, defaultSettings.heartbeat)),
      checkpointInterval: Duration.fromInputUnsafe(
        durationOf(input.checkpointInterval, defaultSettings.checkpointInterval)
      ),
      commitTimeout: Duration.fromInputUnsafe(durationOf(input.commitTimeout, defaultSettings.commitTimeout))
    }),
    catch: (cause) => new InvalidRequest({ message: `a setting is no duration: ${String(cause)}` })
  })
  const exit = decode({
    ...durations,
    nodeId: input.nodeId ?? null,
    start: input.start ?? defaultSettings.start,
    advertise: input.advertise ?? null,
    http: input.http ?? null,
    clockDrift: input.clockDrift ?? null,
    checkpointBytes: input.checkpointBytes ?? defaultSettings.checkpointBytes,
    limits: { ...defaultLimits, ...input.limits }
  })
  if (Exit.isSuccess(exit)) return exit.value
  const reason = Cause.squash(exit.cause)
  return yield* new InvalidRequest({
    message: `the settings are not valid: ${reason instanceof Error ? reason.message : String(reason)}`
  })
})

const make = Effect.fnUntraced(function*(
  input: SettingsInput
): Effect.fn.Return<DistKv["Service"], StartError, Scope.Scope | Transport | LogStore | StateStore> {
  const settings = yield* checkSettings(input)
  const node = yield* RaftNode.make(settings)
  const service = Service.make(node)
  const { state } = node
  if (typeof settings.start === "object" && state.clusterId === null) {
    yield* Effect.forkScoped(joinOneOf(service, settings.start.join, settings.electionTimeout))
  }
  return service
})

/** Asks one address after the other, until this node is admitted or refused for good. */
const joinOneOf = Effect.fnUntraced(function*(
  service: DistKv["Service"],
  addresses: ReadonlyArray<string>,
  pause: Duration.Duration
): Effect.fn.Return<void> {
  while (addresses.length > 0) {
    for (const address of addresses) {
      const result = yield* Effect.result(service.join(address))
      if (Result.isSuccess(result)) {
        const { id, standing } = result.success
        return yield* Effect.logInfo(`admitted to the cluster as ${standing} ${id}`)
      }
      const error = result.failure
      if (error._tag === "Shutdown" || error._tag === "StorageFailed") return
      if (error._tag === "MembershipRejected" && error.final) {
        return yield* Effect.logError(`${address} refuses this node for good: ${error.message}`)
      }
      yield* Effect.logWarning(`not admitted by ${address} yet: ${error.message}`)
    }
    yield* Effect.sleep(pause)
  }
})

/** A node with these settings. */
const fromSettings = (
  settings: SettingsInput = {}
): Layer.Layer<DistKv, StartError, Transport | LogStore | StateStore> => Layer.effect(DistKv, make(settings))

/** A node whose settings come from Effect's `Config`; see `DistKvConfig.ts` for the names. */
const config: Layer.Layer<DistKv, StartError | Config.ConfigError, Transport | LogStore | StateStore> = Layer.effect(
  DistKv,
  Effect.gen(function*() {
    return yield* make(yield* settingsConfig)
  })
)

/** A whole node in memory: a cluster of one, for tests and first steps. What it holds is gone with it. */
const memory: Layer.Layer<DistKv, StartError> = fromSettings({
  start: "bootstrap",
  electionTimeout: Duration.millis(150),
  heartbeat: Duration.millis(30)
}).pipe(Layer.provide([MemoryTransport.layerAlone, MemoryLogStore.layer, MemoryStateStore.layer]))

export const DistKvLayer = Object.assign(fromSettings, { config, memory })
