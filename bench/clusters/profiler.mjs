// Loaded before a node's program: a first SIGUSR2 begins a CPU profile, the next one ends it and writes it to
// $BENCH_PROFILES/<pid>.cpuprofile.
import { renameSync, writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import { join } from "node:path"

const session = new Session()
session.connect()
await session.post("Profiler.enable")
await session.post("Profiler.setSamplingInterval", { interval: 500 })
let running = false

const turn = async () => {
  running = !running
  if (running) return session.post("Profiler.start")
  const { profile } = await session.post("Profiler.stop")
  const file = join(process.env["BENCH_PROFILES"] ?? ".", `${process.pid}.cpuprofile`)
  writeFileSync(`${file}.part`, JSON.stringify(profile))
  renameSync(`${file}.part`, file)
}

process.on("SIGUSR2", () => void turn())
