/**
 * npm run mixed -- [--old COMMIT]: upgrades a cluster node by node, under load, from an older build of this project.
 *
 * Three nodes of the older build run over real SSH and LMDB; each in turn is closed and started again with the present
 * build, and once back with the older one before the upgrade is complete. Meanwhile clients write without a pause. At
 * the end every acknowledged write must be there, on every node, and what is new must work. Needs the git history.
 *
 * scenario: K11
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The older build, by what the command line says. */
const readOld = (): string => {
  const usage = "usage: npm run mixed -- [--old COMMIT]"
  if (process.argv.includes("--help")) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return parseArgs({ options: { old: { type: "string", default: "b2d05b3" } } }).values.old
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    return process.exit(2)
  }
}

const old = readOld()
const home = fs.mkdtempSync(path.join(os.tmpdir(), "distkv-mixed-"))
const names = ["n1", "n2", "n3"]

type Build = "old" | "new"

interface Node {
  readonly name: string
  readonly build: Build
  readonly child: ChildProcess
  /** Empty while it does not serve. */
  url: string
  readonly ended: () => { readonly code: number | null; readonly signal: string | null } | null
}

interface Cluster {
  readonly leader: string | null
  readonly members: ReadonlyArray<{ readonly id: string; readonly voter: boolean; readonly address: string }>
}

const nodes = new Map<string, Node>()

/** Cleared where something failed: then the logs are wanted. */
let isTidy = true

process.once("exit", () => {
  for (const { child, ended } of nodes.values()) if (ended() === null) child.kill("SIGKILL")
  if (isTidy) fs.rmSync(home, { recursive: true, force: true, maxRetries: 10 })
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(128 + os.constants.signals[signal]))
}

const nodeOf = (name: string): Node => nodes.get(name) ?? fail(`there is no node ${name}`)

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const fail = (message: string): never => {
  throw new Error(message)
}

/** Lays the older tree out beside the present one's packages of others. */
const checkOut = () => {
  const tree = path.join(home, "old")
  fs.mkdirSync(tree)
  const archive = spawnSync("git", ["archive", old], { cwd: root, maxBuffer: 2 ** 30 })
  if (archive.status !== 0) {
    console.error(`${old} is not in the history of this repository`)
    process.exit(2)
  }
  spawnSync("tar", ["-x", "-C", tree], { input: archive.stdout })
  fs.symlinkSync(path.join(root, "node_modules"), path.join(tree, "node_modules"))
  for (const name of fs.readdirSync(path.join(tree, "packages"))) {
    const links = path.join(root, "packages", name, "node_modules")
    if (fs.existsSync(links)) {
      fs.cpSync(links, path.join(tree, "packages", name, "node_modules"), { recursive: true, verbatimSymlinks: true })
    }
  }
  return path.join(tree, "packages/server/src/main.ts")
}

const builds: Readonly<Record<Build, string>> = { new: path.join(root, "packages/server/src/main.ts"), old: checkOut() }

const command = (build: Build, args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, [builds[build], ...args], { encoding: "utf8" })

const start = async (name: string, build: Build, more: ReadonlyArray<string> = []): Promise<Node> => {
  const dir = path.join(home, name)
  const ready = path.join(home, `${name}.ready`)
  fs.rmSync(ready, { force: true })
  const flags = ["--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file", ready]
  const timing = ["--election-timeout", "600ms", "--heartbeat", "100ms", "--disk-reserve", "0"]
  const log = fs.openSync(path.join(home, `${name}.log`), "a")
  const child = spawn(process.execPath, [builds[build], "start", ...flags, ...timing, ...more], {
    stdio: ["ignore", log, log]
  })
  let ended: ReturnType<Node["ended"]> = null
  child.on("exit", (code, signal) => (ended = { code, signal }))
  const node: Node = { name, build, child, url: "", ended: () => ended }
  nodes.set(name, node)
  for (let i = 0; i < 600 && !fs.existsSync(ready); i++) {
    if (ended !== null) fail(`${name} (${build}) ended at its start: see ${home}/${name}.log`)
    await sleep(50)
  }
  node.url = (JSON.parse(fs.readFileSync(ready, "utf8")) as { http: string }).http
  return node
}

const stop = async (name: string): Promise<void> => {
  const node = nodeOf(name)
  node.url = ""
  node.child.kill("SIGTERM")
  for (let i = 0; i < 200 && node.ended() === null; i++) await sleep(50)
  if (node.ended()?.code !== 0) fail(`${name} (${node.build}) did not close: ${JSON.stringify(node.ended())}`)
}

const ask = (name: string, target: string, init: RequestInit = {}) =>
  fetch(`${nodeOf(name).url}${target}`, { signal: AbortSignal.timeout(10_000), ...init })

const cluster = async (name: string): Promise<Cluster> => (await ask(name, "/v1/cluster")).json() as Promise<Cluster>

/** Waits until the node follows or leads a cluster in which it is a voter, and has applied what is committed. */
const settled = async (name: string): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    for (const node of nodes.values()) {
      if (node.url !== "" && node.ended() !== null) {
        fail(`${node.name} (${node.build}) ended: see ${home}/${node.name}.log`)
      }
    }
    const ready = await ask(name, "/readyz").catch(() => null)
    if (ready?.ok) {
      const { leader, members } = await cluster(name)
      if (leader !== null && members.find(({ id }) => id === name)?.voter) return
    }
    await sleep(50)
  }
  fail(`${name} (${nodeOf(name).build}) did not become ready: see ${home}/${name}.log`)
}

/** Writes to whoever is up, one key after another, and remembers what was acknowledged. */
const acknowledged = new Map<string, string>()
const load = { over: false, failed: 0, longestGapMs: 0 }
const write = async (client: number): Promise<void> => {
  let last = performance.now()
  for (let i = 0; !load.over; i++) {
    const up = [...nodes.values()].filter(({ url }) => url !== "")
    const { name } = up[(client + i) % up.length] ?? {}
    if (name === undefined) continue
    const key = `c${client}-${i}`
    const reply = await ask(name, `/v1/kv/${key}?timeout=3s`, { method: "PUT", body: `${i}` }).catch(() => null)
    if (reply?.ok) {
      acknowledged.set(key, `${i}`)
      load.longestGapMs = Math.max(load.longestGapMs, performance.now() - last)
      last = performance.now()
    } else load.failed++
  }
}

const roll = async (name: string, build: Build): Promise<void> => {
  const before = acknowledged.size
  const { leader } = await cluster(name)
  await stop(name)
  await start(name, build)
  await settled(name)
  // Both builds must have led and followed the other; and in each mixture something must be written.
  for (let i = 0; i < 200 && acknowledged.size < before + 50; i++) await sleep(50)
  if (acknowledged.size < before + 50) fail(`nothing is written with ${name} on the ${build} build`)
  const mixture = names.map((one) => `${one} ${nodeOf(one).build}`).join(", ")
  console.log(`${mixture}: well (${name}${leader === name ? " led" : " followed"}), ${acknowledged.size} writes`)
}

const transfer = async (to: string): Promise<void> => {
  const reply = await ask("n1", "/v1/cluster/transfer", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ to })
  })
  if (!reply.ok) fail(`leadership does not go to ${to}: ${await reply.text()}`)
}

const audit = async (name: string): Promise<void> => {
  const found = new Map<string, string>()
  let after = ""
  while (true) {
    const reply = await ask(name, `/v1/kv?limit=1000${after}`)
    const page = await reply.json() as {
      readonly more: boolean
      readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string }>
    }
    for (const { key, value } of page.entries) found.set(key, Buffer.from(value, "base64").toString())
    if (!page.more) break
    after = `&after=${encodeURIComponent(page.entries.at(-1)?.key ?? "")}`
  }
  for (const [key, value] of acknowledged) {
    if (found.get(key) !== value) fail(`${name} has ${key} = ${found.get(key)}, where ${value} was acknowledged`)
  }
}

const run = async () => {
  const lines = names.map((name) => {
    command("old", ["init", "--data-dir", path.join(home, name)])
    return fs.readFileSync(path.join(home, name, "id_ed25519.pub"), "utf8")
  })
  for (const name of names) fs.writeFileSync(path.join(home, name, "authorized.keys"), lines.join(""))
  await start("n1", "old", ["--node-id", "n1", "--bootstrap"])
  await settled("n1")
  const { members } = await cluster("n1")
  for (const name of ["n2", "n3"]) {
    await start(name, "old", ["--node-id", name, "--join", members[0]?.address ?? ""])
    await settled(name)
  }
  const clients = [0, 1, 2].map(write)
  await roll("n3", "new")
  await transfer("n3")
  await roll("n2", "new")
  await roll("n2", "old")
  await transfer("n1")
  await roll("n2", "new")
  const early = await ask("n2", "/v1/sessions", { method: "POST" })
  if (early.ok) fail("a session was opened while a member does not know sessions")
  await roll("n1", "new")
  await transfer("n2")
  await sleep(3000)
  load.over = true
  await Promise.all(clients)
  for (const name of names) await audit(name)
  const session = await ask("n1", "/v1/sessions", { method: "POST" })
  if (!session.ok) fail(`no session is opened although all members know sessions: ${await session.text()}`)
  for (const name of names) await stop(name)
  for (const name of names) {
    const checked = command("new", ["verify", "--data-dir", path.join(home, name), "--json"])
    if (checked.status !== 0) fail(`${name}: ${checked.stdout}${checked.stderr}`)
    if ((JSON.parse(checked.stdout) as { state: { digest: string | null } }).state.digest === null) {
      fail(`${name} keeps no digest of its state`)
    }
  }
  const refused = { code: 1, signal: null }
  const back = await start("n1", "old").then(() => sleep(3000)).then(() => nodeOf("n1").ended(), () => refused)
  console.log(`the older build on upgraded data: ${back === null ? "runs on" : `ends with status ${back.code}`}`)
  console.log(
    `${acknowledged.size} writes acknowledged, all there on every node; ${load.failed} failed; ` +
      `longest gap of one client ${Math.round(load.longestGapMs)} ms`
  )
}

let status = 0
try {
  await run()
} catch (error) {
  status = 1
  isTidy = false
  console.error(error instanceof Error ? error.message : error)
}
load.over = true
process.exit(status)
