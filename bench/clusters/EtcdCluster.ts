/** Three etcd nodes on loopback with their data on disk, under its own Go client, or `wrk` at its HTTP gateway. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, openSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type At, type Contender, evenly, type Level, type LoadResult, type Restarting } from "../Contender.ts"
import { keyOf } from "../load/Callers.ts"
import { wrk } from "../load/Wrk.ts"
import { end, output, pidOf, start } from "./Processes.ts"
import { longLimitMs, until } from "./Waiting.ts"

/** The Debian packages that hold etcd, its client library's sources and the compiler for them. */
export const packages = ["etcd-server", "golang-go", "golang-etcd-server-dev"]

const goPath = "/usr/share/gocode"

/** etcd's members have to know each other's ports before they start. */
const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    return server
  }))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(async (server) => once(server.close(), "close")))
  return ports
}

interface Member {
  readonly name: string
  readonly client: number
  readonly peer: number
  readonly child: ChildProcess
}

interface MaintenanceStatus {
  readonly header: { readonly member_id: string }
  readonly leader?: string
}

export interface EtcdCluster extends Restarting {
  /** `host:port` for its clients, the leader's first. */
  readonly endpoints: (at: At) => ReadonlyArray<string>
  /** The load generator's program. */
  readonly generator: string
  /** The ports at which the members talk to each other. */
  readonly peerPorts: () => ReadonlyArray<number>
}

const build = async (folder: string, generator: string): Promise<void> => {
  mkdirSync(folder, { recursive: true })
  const source = fileURLToPath(new URL("../load/etcd-load/main.go", import.meta.url))
  const cache = join(tmpdir(), "distkv-bench-go-cache")
  const env = { ...process.env, GO111MODULE: "off", GOPATH: goPath, GOCACHE: cache }
  await output("go", ["build", "-o", generator, source], { env })
}

const launch = (folder: string, name: string, client: number, peer: number, cluster: string): Member => {
  const log = openSync(join(folder, `${name}.log`), "w")
  const args = [
    ["--name", name],
    ["--data-dir", join(folder, name)],
    ["--listen-client-urls", `http://127.0.0.1:${client}`],
    ["--advertise-client-urls", `http://127.0.0.1:${client}`],
    ["--listen-peer-urls", `http://127.0.0.1:${peer}`],
    ["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
    ["--initial-cluster", cluster],
    ["--log-level", "error"],
    ["--quota-backend-bytes", "8000000000"]
  ].flat()
  return { name, client, peer, child: start("etcd", args, { stdio: ["ignore", log, log] }) }
}

/** The member that leads, when all agree on it. */
const findLeader = async (members: ReadonlyArray<Member>): Promise<Member | undefined> => {
  const answers = await Promise.all(members.map(async ({ client }) => {
    const url = `http://127.0.0.1:${client}/v3/maintenance/status`
    const response = await fetch(url, { method: "POST", body: "{}", signal: AbortSignal.timeout(2_000) })
    return await response.json() as MaintenanceStatus
  }))
  const named = answers[0]?.leader
  if (named === undefined || !answers.every((answer) => answer.leader === named)) return undefined
  return members[answers.findIndex(({ header }) => header.member_id === named)]
}

/** Whether a member answers a linearizable read with the first key; a member that does not listen yet fails. */
const answers = async ({ client }: Member): Promise<boolean> => {
  const key = Buffer.from(keyOf(0)).toString("base64")
  const url = `http://127.0.0.1:${client}/v3/kv/range`
  const response = await fetch(url, { method: "POST", body: JSON.stringify({ key }) })
  return response.ok && (await response.json() as { readonly count?: string }).count === "1"
}

const known = new Map<string, EtcdCluster>()

/** Asked for again for the same folder, it is the same cluster: sections of a quick run share theirs. */
export const etcd = (folder: string, nodes = 3): EtcdCluster => {
  const cluster = known.get(folder) ?? make(folder, nodes)
  known.set(folder, cluster)
  return cluster
}

const make = (folder: string, nodes: number): EtcdCluster => {
  let members: Array<Member> = []
  let initial = ""
  let leader: Member | undefined
  const generator = join(folder, "etcd-load")
  const ordered = () => [
    ...members.filter((member) => member === leader),
    ...members.filter((member) => member !== leader)
  ]
  const endpoints = (at: At) => ordered().slice(0, at === "all" ? nodes : 1).map(({ client }) => `127.0.0.1:${client}`)
  return {
    name: "etcd",
    generator,
    endpoints,
    peerPorts: () => members.map(({ peer }) => peer),
    folders: () => members.map(({ name }) => join(folder, name)),
    start: async () => {
      await build(folder, generator)
      const names = Array.from({ length: nodes }, (_, i) => `e${i + 1}`)
      const ports = await freePorts(2 * nodes)
      initial = names.map((name, i) => `${name}=http://127.0.0.1:${ports[i + nodes]}`).join(",")
      members = names.map((name, i) => launch(folder, name, ports[i] ?? 0, ports[i + nodes] ?? 0, initial))
    },
    ids: () => ordered().map(({ name }) => name),
    kill: async (id) => {
      const member = members.find(({ name }) => name === id)
      if (member !== undefined) await end(member.child)
    },
    again: async (id) => {
      const at = members.findIndex(({ name }) => name === id)
      const member = members[at]
      if (member === undefined) throw new Error(`etcd has no member ${id}`)
      const { client, name, peer } = member
      members[at] = launch(folder, name, client, peer, initial)
      const listens = async () => (await fetch(`http://127.0.0.1:${client}/version`)).ok ? true : undefined
      await until(`${id} listens`, listens, { everyMs: 10, limitMs: longLimitMs })
    },
    serves: async () => {
      await Promise.all(
        members.map((member) =>
          until(
            `${member.name} answers a linearizable read`,
            async () => await answers(member) ? true : undefined,
            { everyMs: 10, limitMs: longLimitMs }
          )
        )
      )
    },
    ready: async () => {
      leader = await until("etcd elects a leader", () => findLeader(members))
    },
    fill: async (keys, valueBytes, from = 0) => {
      await output(generator, [
        `-endpoints=${endpoints("leader").join(",")}`,
        "-fill",
        `-from=${from}`,
        "-clients=16",
        `-keys=${keys}`,
        `-value-bytes=${valueBytes}`
      ])
    },
    processes: () => ordered().map(({ child, name }) => ({ name, pid: pidOf(child) })),
    stop: async () => {
      await Promise.all(members.map(({ child }) => end(child)))
      members = []
    }
  }
}

/** etcd under its own Go client. */
export const etcdOf = (cluster: EtcdCluster, at: At): Contender => ({
  name: at === "leader" ? "etcd" : "etcd, spread",
  describe: `three etcd nodes, its Go client at ${at === "leader" ? "the leader" : "all three"}`,
  clusters: [cluster],
  load: async (level: Level, ms: number): Promise<LoadResult> =>
    JSON.parse(
      await output(cluster.generator, [
        `-endpoints=${cluster.endpoints(at).join(",")}`,
        `-clients=${evenly(level.clients, cluster.endpoints(at).length)}`,
        `-duration=${ms}ms`,
        `-keys=${level.keys}`,
        `-prefix=${level.prefix}`,
        `-value-bytes=${level.valueBytes}`,
        `-reads=${level.reads}`,
        `-serializable=${level.consistency === "stale"}`
      ])
    ) as LoadResult
})

/** etcd under `wrk`, through the gateway that speaks JSON over HTTP. */
export const gatewayOf = (cluster: EtcdCluster): Contender => ({
  name: "etcd's gateway",
  describe: "three etcd nodes, wrk at the leader's HTTP gateway (JSON)",
  clusters: [cluster],
  load: (level, ms) => wrk(cluster.endpoints("leader"), "gateway", level, ms)
})
