// Tries broken variants of the program: on a copy of the tree each test and script must fail that says it would.
import { execFileSync, spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { broken } from "./variants.mjs"

/** @import { Play } from "./tests.mjs" */
/** @import { Variant } from "./variants.mjs" */

/** The tree as it is now, without what is built; dependencies are links to the real ones. @param {string} root */
const copyOf = (root) => {
  const copy = mkdtempSync(join(tmpdir(), "distkv-variant-"))
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8"
  })
  for (const path of files.split("\0")) {
    if (path === "" || !existsSync(join(root, path))) continue
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    cpSync(join(root, path), join(copy, path))
  }
  const packages = readdirSync(join(root, "packages"))
  for (const folder of [".", "examples", ...packages.map((name) => join("packages", name))]) {
    linkDependencies(
      join(root, folder, "node_modules"),
      join(copy, folder, "node_modules"),
      (name) => packages.includes(name) ? join(copy, "packages", name) : null
    )
  }
  return copy
}

/**
 * Links dependencies into the copy; those on packages of the tree lead to the copy's own.
 * @param {string} from
 * @param {string} to
 * @param {(name: string) => string | null} ownPackage
 */
const linkDependencies = (from, to, ownPackage) => {
  if (!existsSync(from)) return
  mkdirSync(to)
  for (const name of readdirSync(from)) {
    if (name !== "@distkv") {
      symlinkSync(join(from, name), join(to, name))
      continue
    }
    mkdirSync(join(to, name))
    for (const own of readdirSync(join(from, name))) {
      symlinkSync(ownPackage(own) ?? join(from, name, own), join(to, name, own))
    }
  }
}

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** The command that runs one test or script alone. @param {Play} play @returns {readonly [string, ...Array<string>]} */
const commandOf = ({ kind, name, path }) => {
  if (kind === "script") {
    const script = path.replace(/^.*\//, "").replace(/\.script$/, "")
    return [process.execPath, "packages/core/test/scripts/play.ts", "--untraced", `=${script}`]
  }
  // Parts of names that are made at run time are left open, or the whole name.
  const pattern = name === "" ? ".*" : escaped(name).replace(/\\\$\\\{.*?\\\}/g, ".*")
  const project = /^packages\/([^/]+)/.exec(path)?.[1] ?? "examples"
  return [
    "vitest",
    "run",
    "--config",
    "vitest.workspace.ts",
    "--project",
    project,
    path,
    `--testNamePattern=${pattern}`
  ]
}

/** @param {string} copy @param {Play} play */
const outcome = (copy, play) => {
  const [command, ...args] = commandOf(play)
  const result = spawnSync(command, args, { cwd: copy, encoding: "utf8", timeout: 300_000 })
  const output = `${result.stdout}${result.stderr}`
  const ran = play.kind === "script" || / (passed|failed)\b/.test(output)
  return { failed: result.status !== 0, ran, output }
}

/**
 * Tries every pair of a test and a variant that it names; returns how many do not hold.
 * @param {string} root
 * @param {ReadonlyArray<Play>} plays
 * @param {ReadonlyMap<string, Variant>} variants
 */
export const prove = (root, plays, variants) => {
  const copy = copyOf(root)
  let wrong = 0
  /** What fails anyway shows nothing. @type {Map<Play, boolean>} */
  const sound = new Map()
  try {
    for (const [name, variant] of variants) {
      const concerned = plays.filter((play) => play.failsWith.includes(name))
      if (concerned.length === 0) continue
      for (const play of concerned) if (!sound.has(play)) sound.set(play, !outcome(copy, play).failed)
      const changed = broken(variant, (path) => readFileSync(join(copy, path), "utf8"))
      for (const [path, source] of changed) writeFileSync(join(copy, path), source)
      for (const play of concerned) {
        const { failed, output, ran } = outcome(copy, play)
        const verdict = !sound.get(play) ? "fails anyway" : !ran ? "did not run" : failed ? "fails" : "PASSES"
        console.log(`${verdict.padEnd(12)} ${name.padEnd(32)} ${play.path}: ${play.name.slice(0, 60)}`)
        if (failed && ran && sound.get(play)) {
          const why = output.split("\n").find((line) => /Error|expected|I\d+:|VIOLATION|ScriptFailed/.test(line)) ?? ""
          if (process.env["DISTKV_SHOW"] !== undefined) console.log(output.split("\n").slice(0, 12).join("\n"))
          else console.log(`             ${why.trim().slice(0, 140)}`)
        } else {
          wrong++
          if (!ran) console.log(output.slice(-2000))
        }
      }
      for (const path of changed.keys()) cpSync(join(root, path), join(copy, path))
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  return wrong
}
