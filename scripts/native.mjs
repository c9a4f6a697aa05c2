/**
 * Builds ssh2's native addon, which encrypts in a fraction of the time that JavaScript takes, against the headers of
 * the Node that runs this. Needs a C++ compiler, make and Python. Everything works without it.
 *
 *   npm run native             builds it, and tries it
 *   npm run native -- --remove takes it away again
 */
import { spawnSync } from "node:child_process"
import { existsSync, realpathSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { readArguments } from "./arguments.mjs"

const { remove } = readArguments("npm run native -- [--remove]", { remove: { type: "boolean", default: false } })

/** The version of the build tool; it is fetched where npm has it not. */
const nodeGyp = "node-gyp@13.1.0"

const require = createRequire(join(import.meta.dirname, "..", "packages", "transport-ssh", "package.json"))
const internals = "ssh2/lib/protocol/crypto.js" // no public part of ssh2, and without types
const crypto = join(dirname(require.resolve(internals)), "crypto")
const build = join(crypto, "build")

/** @type {(message: string) => never} */
const fail = (message) => {
  console.error(message)
  process.exit(1)
}

rmSync(build, { force: true, recursive: true })
if (remove) process.exit(0)

const prefix = dirname(dirname(realpathSync(process.execPath)))
if (!existsSync(join(prefix, "include", "node", "node.h"))) {
  fail(`${prefix} has no headers of Node (include/node): run this by npm run native, with the pinned Node`)
}
const [opensslMajor] = process.versions.openssl.split(".")
const built = spawnSync(
  "npx",
  ["--yes", nodeGyp, "rebuild", `--nodedir=${prefix}`, `--real_openssl_major=${opensslMajor}`],
  // npm's own setting, where there is one, would name another Node's headers, and win.
  { cwd: crypto, stdio: "inherit", env: { ...process.env, npm_config_nodedir: prefix } }
)
if (built.status !== 0) {
  rmSync(build, { force: true, recursive: true })
  fail("the addon could not be built; ssh2 goes on in JavaScript")
}
const { bindingAvailable } = require(internals)
if (!bindingAvailable) fail("the addon was built, but this Node does not load it")
console.log("ssh2 encrypts natively from the next start on")
