import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"
import {
  DistKv,
  DistKvLayer,
  MemoryLogStore,
  MemoryStateStore,
  MemoryTransport,
  settingsConfig
} from "../../src/index.ts"

const from = (provider: ConfigProvider.ConfigProvider) =>
  Effect.provideService(settingsConfig, ConfigProvider.ConfigProvider, provider)

const environment = (env: Record<string, string>) => from(ConfigProvider.fromEnv({ env }))

describe("settings from the configuration", () => {
  it.effect("are found in the environment under the names that the README gives", () =>
    Effect.gen(function*() {
      const { electionTimeout, ...rest } = yield* environment({
        DISTKV_NODE_ID: "n1",
        DISTKV_START: "10.0.0.1:12000, 10.0.0.2:12000",
        DISTKV_ELECTION_TIMEOUT: "2 seconds",
        DISTKV_CHECKPOINT_BYTES: "4096",
        DISTKV_LIMITS_VALUE_BYTES: "77"
      })
      assert.deepStrictEqual(rest, {
        nodeId: "n1",
        start: { join: ["10.0.0.1:12000", "10.0.0.2:12000"] },
        checkpointBytes: 4096,
        limits: { valueBytes: 77 }
      })
      assert.strictEqual(Duration.toMillis(electionTimeout!), 2000)
    }))

  it.effect("are found in a file under the settings' own names", () =>
    Effect.gen(function*() {
      const settings = yield* from(
        ConfigProvider.fromUnknown({ distkv: { nodeId: "n2", start: "bootstrap", limits: { pendingWrites: 5 } } })
      )
      assert.deepStrictEqual(settings, { nodeId: "n2", start: "bootstrap", limits: { pendingWrites: 5 } })
    }))

  it.effect("have their defaults where nothing is configured", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* environment({}), { limits: {} })
    }))

  it.effect("fail where a value is not of its kind", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(environment({ DISTKV_HEARTBEAT: "often" }))
      assert.strictEqual(error._tag, "ConfigError")
    }))

  it.live("make a node", () =>
    Effect.gen(function*() {
      const { nodeId } = yield* (yield* DistKv).status
      assert.strictEqual(nodeId, "from-env")
    }).pipe(Effect.provide(
      DistKvLayer.config.pipe(
        Layer.provide([MemoryTransport.layerAlone, MemoryLogStore.layer, MemoryStateStore.layer]),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { DISTKV_NODE_ID: "from-env" } })))
      )
    )))
})
