/** Three etcd nodes on loopback with their data on disk, under a load generator on etcd's own Go client. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, openSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Contender, Level, LoadResult } from "./Contender.ts"
import { end, output, pidOf, start } from "./Processes.ts"
import { until } from "./Waiting.ts"

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
  readonly child: ChildProcess
}

interface MaintenanceStatus {
  readonly header: { readonly member_id: string }
  readonly leader?: string
}

export const etcd = (folder: string, atAll: boolean): Contender => {
  let members: ReadonlyArray<Member> = []
  let leader: Member | undefined
  const generator = join(folder, "etcd-load")

  const launch = (name: string, client: number, peer: number, cluster: string): Member => {
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
    return { name, client, child: start("etcd", args, { stdio: ["ignore", log, log] }) }
  }

  /** The member that leads, when all three agree on it. */
  const findLeader = async (): Promise<Member | undefined> => {
    const answers = await Promise.all(members.map(async ({ client }) => {
      const url = `http://127.0.0.1:${client}/v3/maintenance/status`
      const response = await fetch(url, { method: "POST", body: "{}", signal: AbortSignal.timeout(2_000) })
      return await response.json() as MaintenanceStatus
    }))
    const named = answers[0]?.leader
    if (named === undefined || !answers.every((answer) => answer.leader === named)) return undefined
    return members[answers.findIndex(({ header }) => header.member_id === named)]
  }

  const load = async (level: Level, ms: number): Promise<LoadResult> => {
    const at = atAll ? members : members.filter((member) => member === leader)
    const args = [
      `-endpoints=${at.map(({ client }) => `127.0.0.1:${client}`).join(",")}`,
      `-clients=${level.clients}`,
      `-duration=${ms}ms`,
      `-keys=${level.keys}`,
      `-value-bytes=${level.valueBytes}`
    ]
    return JSON.parse(await output(generator, args)) as LoadResult
  }

  return {
    name: "etcd",
    describe: `three etcd nodes, its Go client at ${atAll ? "all three" : "the leader"}`,
    start: async () => {
      mkdirSync(folder, { recursive: true })
      const source = fileURLToPath(new URL("etcd-load/main.go", import.meta.url))
      const env = { ...process.env, GO111MODULE: "off", GOPATH: goPath, GOCACHE: join(folder, "go-cache") }
      await output("go", ["build", "-o", generator, source], { env })
      const names = ["e1", "e2", "e3"]
      const ports = await freePorts(6)
      const cluster = names.map((name, i) => `${name}=http://127.0.0.1:${ports[i + 3]}`).join(",")
      members = names.map((name, i) => launch(name, ports[i] ?? 0, ports[i + 3] ?? 0, cluster))
    },
    ready: async () => {
      leader = await until("etcd elects a leader", findLeader)
    },
    load,
    processes: () =>
      [...members.filter((member) => member === leader), ...members.filter((member) => member !== leader)]
        .map(({ child, name }) => ({ name, pid: pidOf(child) })),
    stop: async () => {
      await Promise.all(members.map(({ child }) => end(child)))
    }
  }
}
