/**
 * A node with settings for which the program has no flags, composed of the server's layers as `distkv start` composes
 * them; it takes those of its flags that runs give:
 *
 *   node chaos/node.ts '{"limits":{"logEntries":10}}' start --data-dir …
 */
import { DistKv, type SettingsInput } from "@distkv/core"
import { HttpServer, ServerLayer } from "@distkv/server"
import { Context, Duration, Effect, Exit, Layer } from "effect"
import { renameSync, writeFileSync } from "node:fs"
import { flushCompileCache } from "node:module"
import { parseArgs } from "node:util"

const [settingsJson = "{}", , ...args] = process.argv.slice(2)
const further: SettingsInput = JSON.parse(settingsJson)
const { values } = parseArgs({
  args,
  options: {
    "data-dir": { type: "string", default: "" },
    "node-id": { type: "string" },
    "ready-file": { type: "string", default: "" },
    raft: { type: "string", default: "" },
    advertise: { type: "string" },
    http: { type: "string" },
    "log-level": { type: "string" },
    "election-timeout": { type: "string", default: "" },
    heartbeat: { type: "string", default: "" },
    "disk-reserve": { type: "string" },
    bootstrap: { type: "boolean", default: false },
    join: { type: "string" }
  }
})

const milliseconds = (text: string): Duration.Duration => Duration.millis(Number.parseInt(text, 10))
const [host = "", port = ""] = values.raft.split(":")

const node = ServerLayer.layer({
  dataDir: values["data-dir"],
  raft: { host, port: Number(port) },
  http: { host: "127.0.0.1", port: 0 },
  nodeId: values["node-id"],
  advertise: values.advertise,
  bootstrap: values.bootstrap,
  electionTimeout: milliseconds(values["election-timeout"]),
  heartbeat: milliseconds(values.heartbeat),
  clockDrift: undefined,
  trust: "file",
  diskReserveBytes: values["disk-reserve"] === undefined ? undefined : Number(values["disk-reserve"]),
  markFile: undefined,
  settings: { ...further, ...(values.join === undefined ? {} : { start: { join: [values.join] } }) }
})

const serve = Effect.gen(function*() {
  const context = yield* Layer.build(node)
  const ready = `${values["ready-file"]}.tmp`
  writeFileSync(ready, JSON.stringify({ http: Context.get(context, HttpServer).url, pid: process.pid }))
  renameSync(ready, values["ready-file"])
  // One that is killed would leave nothing that its next start could use.
  flushCompileCache()
  // It ends by being killed, with the run, or by itself.
  yield* Context.get(context, DistKv).stopped
}).pipe(Effect.scoped)

process.on("disconnect", () => process.exit())
Effect.runFork(serve).addObserver((exit) => {
  if (Exit.isFailure(exit)) console.error(String(exit.cause))
  process.exit(1)
})
