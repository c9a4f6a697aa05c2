#!/usr/bin/env node
/**
 * The program's door. It must run on any Node from 18 on, so it is plain JavaScript without dependencies: on an older
 * Node than the program needs it starts itself again on the pinned one (`node_modules/.bin/node`, looked for upwards).
 * Then it runs the bundle where there is one that is newer than every source, else the sources themselves.
 *
 * What runs nodes is run with a bound on the young generation of V8's heap: left to itself it grows to 128 MiB on a
 * large machine, for a node that needs 32 of it, and is no faster. And with one thread beside the program for V8's own
 * work instead of four: three nodes that shared two processors were found not running for up to 12 ms while they had
 * work; with one thread the 99th percentile of their writes is a fifth lower. Both must be there before the heap is, so
 * the program is started anew in the same process.
 */
import { spawn } from "node:child_process"
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs"
import * as module from "node:module"
import { constants } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const neededMajor = 24
const self = realpathSync(fileURLToPath(import.meta.url))
const packageDir = dirname(dirname(self))

const pinnedNode = () => {
  for (let dir = packageDir;; dir = dirname(dir)) {
    const node = join(dir, "node_modules", ".bin", process.platform === "win32" ? "node.exe" : "node")
    if (existsSync(node)) return node
    if (dirname(dir) === dir) return undefined
  }
}

/** The time of the latest change below `dir`; a folder's own time tells of files that were removed. */
const latestChange = (dir) => {
  let latest = statSync(dir).mtimeMs
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    latest = Math.max(latest, entry.isDirectory() ? latestChange(path) : statSync(path).mtimeMs)
  }
  return latest
}

const isFresh = (bundle) => {
  if (!existsSync(bundle)) return false
  const root = join(packageDir, "..", "..")
  const inputs = ["core", "server", "storage-lmdb", "transport-ssh"].map((name) => join(root, "packages", name, "src"))
  const built = statSync(bundle).mtimeMs
  return inputs.every((dir) => !existsSync(dir) || latestChange(dir) < built) &&
    ["pnpm-lock.yaml", "scripts/bundle.mjs"].every((file) =>
      !existsSync(join(root, file)) || statSync(join(root, file)).mtimeMs < built
    )
}

/** In a checkout the sources are there; a published package has only `dist`. */
const entry = () => {
  const bundle = join(packageDir, "dist", "distkv.bundle.mjs")
  const sources = join(packageDir, "src", "main.ts")
  if (!existsSync(sources)) return existsSync(bundle) ? bundle : join(packageDir, "dist", "main.js")
  return process.env["DISTKV_SOURCES"] === undefined && isFresh(bundle) ? bundle : sources
}

const heapOptions = ["--max-semi-space-size=16", "--v8-pool-size=1"]

/** Those that nobody has set for this process already. */
const missingOptions = () => {
  const given = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)]
    .map((option) => option.split("=")[0].replaceAll("_", "-"))
  return heapOptions.filter((option) => !given.includes(option.split("=")[0]))
}

/** Whether this process would do better with further options, and may be replaced by one that has them. */
const mayStartAnew = () =>
  ["start", "demo"].includes(process.argv[2]) && process.execve !== undefined && process.platform !== "win32" &&
  process.channel === undefined

if (Number.parseInt(process.versions.node, 10) >= neededMajor) {
  const missing = missingOptions()
  if (missing.length > 0 && mayStartAnew()) {
    try {
      const options = [...process.execArgv, ...missing]
      process.execve(process.execPath, [process.execPath, ...options, self, ...process.argv.slice(2)])
    } catch {
      // Not allowed here: then without them.
    }
  }
  module.enableCompileCache?.()
  await import(pathToFileURL(entry()).href)
} else {
  const node = pinnedNode()
  if (node === undefined) {
    console.error(
      `distkv needs Node ${neededMajor} or newer and found ${process.versions.node}; "npm run setup" installs it`
    )
    process.exit(1)
  }
  const child = spawn(node, [...heapOptions, self, ...process.argv.slice(2)], { stdio: "inherit" })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => {
    console.error(`distkv cannot run ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}
