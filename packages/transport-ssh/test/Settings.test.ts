import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { resolveSettings, type SshTransportOptions } from "../src/SshSettings.ts"

const refused: ReadonlyArray<Partial<SshTransportOptions>> = [
  { electionTimeout: "soon" as Duration.Input },
  { heartbeat: "200 millis", electionTimeout: "400 millis" },
  { heartbeat: "never" as Duration.Input },
  { loginGrace: 0 },
  { advertise: "nowhere" },
  { advertise: "0.0.0.0:1" },
  { host: "0.0.0.0" },
  { maxAuthTries: 1.5 }
]

it.effect("settings that cannot work are refused as invalid, each for what is wrong with it", () =>
  Effect.gen(function*() {
    const messages = new Set<string>()
    for (const options of refused) {
      const error = yield* Effect.flip(resolveSettings({ dataDir: "unused", ...options }))
      assert.strictEqual(error._tag, "InvalidRequest")
      messages.add(error.message)
    }
    assert.isAtLeast(messages.size, refused.length - 1)
    const settings = yield* resolveSettings({ dataDir: "unused", electionTimeout: Duration.seconds(2) })
    assert.strictEqual(settings.electionTimeoutMs, 2000)
  }))
