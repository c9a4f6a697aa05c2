/**
 * Bundles the program into `packages/server/dist`, so that a command starts in a tenth of a second: everything but the
 * two packages with native parts, and what only `start` or `demo` need in chunks of their own.
 *
 * `packages/server/bin/distkv.mjs` runs the bundle while it is newer than every source.
 */
import { mkdirSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

const server = join(dirname(fileURLToPath(import.meta.url)), "..", "packages", "server")
const dist = join(server, "dist")
const entryName = "distkv.bundle.mjs"

rmSync(join(dist, entryName), { force: true })
mkdirSync(dist, { recursive: true })
await build({
  input: { "distkv.bundle": join(server, "src", "main.ts") },
  platform: "node",
  external: ["lmdb", "ssh2"],
  logLevel: "warn",
  output: {
    dir: dist,
    format: "esm",
    minify: true,
    entryFileNames: `${entryName}.tmp`,
    chunkFileNames: "bundle/[name]-[hash].mjs"
  }
})
// Last and in one step, so that a run meanwhile finds the whole bundle or none.
renameSync(join(dist, `${entryName}.tmp`), join(dist, entryName))
