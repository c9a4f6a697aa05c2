// Which module of the repository may import which: the arrows point one way, answers come back as data.
//
//   domain → ports → rules → state → roles → node → DistKvLayer → server
//
// A module is a folder or a file at the top of a package's `src`. `docs/ARCHITECTURE.md` says why.
import { dirname, join, posix, sep } from "node:path"

const vocabulary = ["core/domain", "core/DistKvError"]
const ports = ["core/LogStore", "core/StateStore", "core/Transport"]
const contracts = [...vocabulary, ...ports, "core/DistKv", "core/DirectCalls", "core/DistKvSettings"]
const machinery = [...contracts, "core/rules", "core/state", "core/roles", "core/node"]
const core = [...machinery, "core/Memory", "core/DistKvConfig", "core/DistKvLayer"]

/**
 * What each module may import beside itself. What stands for a package is its only door.
 * @type {Record<string, ReadonlyArray<string>>}
 */
export const arrows = {
  "core/domain": vocabulary,
  "core/DistKvError": vocabulary,
  "core/LogStore": vocabulary,
  "core/StateStore": vocabulary,
  "core/Transport": vocabulary,
  "core/DistKv": vocabulary,
  "core/DirectCalls": [...vocabulary, "core/DistKv"],
  "core/DistKvSettings": vocabulary,
  "core/DistKvConfig": contracts,
  "core/rules": [...vocabulary, ...ports],
  "core/state": [...contracts, "core/rules"],
  "core/roles": [...contracts, "core/rules", "core/state"],
  "core/node": [...contracts, "core/rules", "core/state", "core/roles"],
  "core/Memory": contracts,
  "core/DistKvLayer": [...machinery, "core/Memory", "core/DistKvConfig"],
  "core/index": core,
  "core/testing": core,
  "transport-ssh": ["@distkv/core"],
  "storage-lmdb": ["@distkv/core"],
  server: ["@distkv/core", "@distkv/transport-ssh", "@distkv/storage-lmdb"]
}

/**
 * Of these, only types: `rules` knows what the data behind a port looks like, and nothing else.
 * @type {Record<string, ReadonlyArray<string>>}
 */
export const typesOnly = { "core/rules": ports }

/** Only code that is never published may import these. */
export const doorsForTests = ["@distkv/core/testing"]
export const doors = [
  "@distkv/core",
  "@distkv/transport-ssh",
  "@distkv/storage-lmdb",
  "@distkv/server",
  "@distkv/server/client"
]

/**
 * Where a file stands: its package, or null outside `packages`; its folder there (`src`, `test`, …); its module.
 * @param {string} root
 * @param {string} file
 */
export const placeOf = (root, file) => {
  const path = (file.startsWith(root) ? file.slice(root.length + 1) : file).split(sep).join("/")
  const [top, name = "", folder = "", first = "", ...rest] = path.split("/")
  if (top !== "packages") return { path, package: null, folder: top ?? "", module: top ?? "" }
  // The ports' twins in memory (`MemoryLogStore`, …) are one module, however many files they take.
  const inner = rest.length === 0 ? first.replace(/\.ts$/, "").replace(/^Memory.*/, "Memory") : first
  return { path, package: name, folder, module: name === "core" ? `core/${inner}` : name }
}

/**
 * The file that a relative import leads to.
 * @param {string} file
 * @param {string} specifier
 */
export const target = (file, specifier) => join(dirname(file), specifier.split(posix.sep).join(sep))
