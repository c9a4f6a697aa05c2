/**
 * Bundles the program into `packages/server/dist`, so that a command starts in a tenth of a second: everything but the
 * two packages with native parts, and what only some commands need in chunks of their own.
 *
 * `packages/server/bin/distkv.mjs` runs the bundle while it is newer than every source.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

const server = join(dirname(fileURLToPath(import.meta.url)), "..", "packages", "server")
const entry = join(server, "dist", "distkv.bundle.mjs")
const chunks = join(server, "dist", "bundle")
const building = `${chunks}.new`

rmSync(building, { force: true, recursive: true })
await build({
  input: { program: join(server, "src", "main.ts") },
  platform: "node",
  external: ["lmdb", "ssh2"],
  logLevel: "warn",
  output: {
    dir: building,
    format: "esm",
    minify: true,
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs"
  }
})
// The entry goes first and comes last, so that a run meanwhile finds a whole bundle or none.
rmSync(entry, { force: true })
rmSync(chunks, { force: true, recursive: true })
renameSync(building, chunks)
writeFileSync(entry, `import "./bundle/program.mjs"\n`)
