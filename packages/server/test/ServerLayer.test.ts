import { checkSettings } from "@distkv/core"
import { ServerLayer } from "@distkv/server"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"

const config = {
  dataDir: "unused",
  raft: { host: "127.0.0.1", port: 0 },
  http: { host: "127.0.0.1", port: 0 },
  nodeId: "n1",
  advertise: undefined,
  bootstrap: true,
  electionTimeout: Duration.millis(300),
  heartbeat: Duration.millis(60),
  clockDrift: undefined,
  trust: "file",
  diskReserveBytes: undefined,
  markFile: undefined
} as const

describe("settings of a server's node", () => {
  it("are those of its configuration, with those given beside them on top", () => {
    const settings = { limits: { logEntries: 50 }, electionTimeout: "2 seconds" } as const
    const plain = ServerLayer.settingsOf(config, "http://127.0.0.1:1")
    assert.strictEqual(plain.electionTimeout, config.electionTimeout)
    assert.strictEqual(plain.start, "bootstrap")
    const more = ServerLayer.settingsOf({ ...config, settings }, "http://127.0.0.1:1")
    assert.deepStrictEqual(more, { ...plain, ...settings })
  })

  it.effect("are checked with the others", () =>
    Effect.gen(function*() {
      const wrong = ServerLayer.settingsOf({ ...config, settings: { limits: { logEntries: 0 } } }, "")
      assert.strictEqual((yield* Effect.flip(checkSettings(wrong)))._tag, "InvalidRequest")
    }))
})
