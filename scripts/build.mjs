// What is published: each package's `dist`, made anew so that nothing of a removed file stays, and the bundle.
import { execFileSync } from "node:child_process"
import { readdirSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { readArguments } from "./arguments.mjs"

readArguments("npm run build", {})

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name))

for (const path of packages) rmSync(join(root, path, "dist"), { recursive: true, force: true })
/** @param {string} command @param {ReadonlyArray<string>} args */
const run = (command, args) => execFileSync(command, args, { cwd: root, stdio: "inherit" })
try {
  run("tsc", ["-b", ...packages])
  run("node", ["scripts/bundle.mjs"])
} catch {
  process.exitCode = 1 // the command has said why
}
