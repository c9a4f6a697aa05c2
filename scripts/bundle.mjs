/**
 * Bundles the program into `packages/server/dist`, so that a command starts in a tenth of a second: everything but the
 * two packages with native parts, and what only some commands need in chunks of their own.
 *
 * `packages/server/bin/distkv.mjs` runs the bundle while it is newer than every source.
 *
 *   node scripts/bundle.mjs [DIRECTORY, packages/server/dist unless told otherwise]
 */
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

const server = join(dirname(fileURLToPath(import.meta.url)), "..", "packages", "server")
const dist = resolve(process.argv[2] ?? join(server, "dist"))
const entry = join(dist, "distkv.bundle.mjs")
const chunks = join(dist, "bundle")
const building = `${chunks}.new`

const began = new Date()
mkdirSync(dist, { recursive: true })
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
// A source that was changed while the bundle was built is newer than the bundle.
utimesSync(entry, began, began)
