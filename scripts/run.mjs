#!/usr/bin/env node
// Runs a command of this repository: node scripts/run.mjs [--install-only | --relock] [command …]
//
// It needs nothing but a Node of version 18 or later, so that a clean clone works with one command. When the manifests
// or the lockfile have changed since the last time, it installs with a pinned pnpm, fetched by npx; then it runs the
// command with node_modules/.bin first on the PATH, and there the pinned Node 24. When nothing changed it only hashes a
// few small files.
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const pnpmVersion = "12.21.0"
const nodeMajor = 24
const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const bin = join(root, "node_modules", ".bin")
const stampFile = join(root, "node_modules", ".distkv-stamp")
const lock = join(root, ".bootstrap.lock")
const lockAgeMaxMs = 10 * 60_000
const onWindows = process.platform === "win32"

/** Everything that decides what an installation holds. */
const manifests = () => {
  const files = [
    "package.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ".npmrc",
    join("bench", "package.json"),
    join("chaos", "package.json")
  ]
  for (const folder of ["packages", "examples"]) {
    if (!existsSync(join(root, folder))) continue
    for (const name of readdirSync(join(root, folder)).sort()) files.push(join(folder, name, "package.json"))
  }
  return files.filter((file) => existsSync(join(root, file)))
}

const stamp = () => {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${pnpmVersion}\0`)
  for (const file of manifests()) hash.update(file).update("\0").update(readFileSync(join(root, file))).update("\0")
  return hash.digest("hex")
}

const isInstalled = () => existsSync(stampFile) && existsSync(bin) && readFileSync(stampFile, "utf8") === stamp()

/** npm hands its own settings down in the environment, where they would confuse pnpm; how to reach a registry stays. */
const installEnvironment = () => {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, CI: "true" } // CI: pnpm asks no questions
  const reaching = /^npm_config_(registry|cache|cafile|userconfig|globalconfig|proxy|https_proxy|noproxy|strict_ssl)$/i
  for (const name of Object.keys(env)) if (/^npm_/i.test(name) && !reaching.test(name)) delete env[name]
  return env
}

const pause = (/** @type {number} */ ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const isRunning = (/** @type {number} */ pid) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM"
  }
}

/** True when whoever made the lock has ended without removing it. */
const lockIsStale = () => {
  const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs
  if (made === undefined) return false
  const ageMs = Date.now() - made
  const ownerFile = join(lock, "pid")
  if (!existsSync(ownerFile)) return ageMs > 5_000 // between the two steps of taking it, unless it stays so
  return ageMs > lockAgeMaxMs || !isRunning(Number(readFileSync(ownerFile, "utf8")))
}

/** Takes the lock, or answers false when another run has installed in the meantime. */
const takeLock = () => {
  while (true) {
    try {
      mkdirSync(lock)
      writeFileSync(join(lock, "pid"), String(process.pid))
      return true
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error
    }
    if (lockIsStale()) {
      const stale = `${lock}.${process.pid}` // renaming is atomic: of several waiting runs one removes it
      try {
        renameSync(lock, stale)
        rmSync(stale, { recursive: true, force: true })
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error
      }
      continue
    }
    pause(300)
    if (isInstalled()) return false
  }
}

/**
 * A command of the program starts in a third of the time from its bundle, which is made in a second. Without one, or
 * once a source is newer, the sources run.
 */
const bundle = () => {
  const env = { ...process.env, PATH: bin + delimiter + (process.env["PATH"] ?? "") }
  const args = [join("scripts", "bundle.mjs")]
  const { status } = spawnSync("node", args, { cwd: root, env, shell: onWindows, stdio: ["ignore", "ignore", 2] })
  if (status !== 0) console.error("distkv: the program could not be bundled; it runs from its sources")
}

/** @param {ReadonlyArray<string>} flags */
const install = (flags) => {
  if (!takeLock()) return
  let failure = ""
  try {
    console.error("distkv: installing what the lockfile names (the first time this takes about half a minute)")
    const result = spawnSync("npx", ["-y", `pnpm@${pnpmVersion}`, "install", ...flags], {
      cwd: root,
      env: installEnvironment(),
      shell: onWindows,
      stdio: ["ignore", 2, 2] // what the command prints on standard output stays its own
    })
    if (result.status === 0) {
      bundle()
      writeFileSync(stampFile, stamp())
    } else failure = result.error?.message ?? `pnpm ended with ${result.signal ?? result.status}`
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
  if (failure !== "") {
    console.error(`distkv: the installation failed: ${failure}`)
    console.error("distkv: when a manifest was changed, bring the lockfile up to date with `npm run relock`")
    process.exit(1)
  }
}

/** Without a pinned Node for this platform, the machine's own has to be new enough. */
const requireNode = () => {
  if (existsSync(join(bin, onWindows ? "node.CMD" : "node"))) return
  if (Number(process.versions.node.split(".")[0]) >= nodeMajor) return
  console.error(`distkv: there is no packaged Node for ${process.platform}-${process.arch}; install Node ${nodeMajor}`)
  process.exit(1)
}

/** @param {ReadonlyArray<string>} command */
const run = ([name = "", ...args]) => {
  const path = bin + delimiter + (process.env["PATH"] ?? "")
  const child = spawn(name, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
    shell: onWindows
  })
  let told = false // a second signal would cut the child's graceful ending short
  const tell = (/** @type {NodeJS.Signals} */ signal) => {
    told = true
    child.kill(signal)
  }
  process.on("SIGINT", () => {
    if (process.stdin.isTTY) told = true // Ctrl-C in a terminal reaches the child by itself
    else tell("SIGINT")
  })
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, tell)
  // npm forwards no SIGTERM: when npm, or the shell it used, is gone, the child has to go as well.
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    if (!told) tell("SIGTERM")
  }, 500)
  child.on("error", (error) => {
    console.error(`distkv: ${error.message}`)
    process.exit(127)
  })
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
}

const args = process.argv.slice(2)
const installsOnly = args[0] === "--relock" || args[0] === "--install-only"
if (installsOnly && args.length > 1) {
  const isQuestion = args[1] === "--help"
  console[isQuestion ? "log" : "error"]("usage: npm run setup, or npm run relock, without options")
  process.exit(isQuestion ? 0 : 2)
}
if (args[0] === "--relock") install(["--no-frozen-lockfile"])
else if (!isInstalled()) install(["--frozen-lockfile", "--prefer-offline"])
else if (installsOnly) bundle()
requireNode()
if (installsOnly) process.exit(0)
if (args.length > 0) run(args)
