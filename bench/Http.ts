/** distkv as a server: three processes over SSH and LMDB, under `wrk`, which writes through HTTP. */
import type { ChildProcess } from "node:child_process"
import { existsSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Contender, Level, LoadResult } from "./Contender.ts"
import { makeDirectories, nodeIds } from "./Embedded.ts"
import { end, output, pidOf, start } from "./Processes.ts"
import { until } from "./Waiting.ts"

/** The Debian package of the load generator. */
export const packages = ["wrk"]

const program = fileURLToPath(new URL("../packages/server/bin/distkv.mjs", import.meta.url))
const script = fileURLToPath(new URL("wrk-put.lua", import.meta.url))

/** What a node writes to its ready file. */
interface Ready {
  readonly raft: string
  readonly http: string
}

interface Node extends Ready {
  readonly child: ChildProcess
}

interface ClusterJson {
  readonly nodeId: string
  readonly leader: string | null
  readonly members: ReadonlyArray<{ readonly voter: boolean }>
}

const launch = async (folder: string, directory: string, id: string, founder: string | undefined): Promise<Node> => {
  const readyFile = join(folder, `${id}.json`)
  const log = openSync(join(folder, `${id}.log`), "w")
  const addresses = ["--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"]
  const entrance = founder === undefined ? ["--bootstrap"] : ["--join", founder]
  const args = [program, "start", "--data-dir", directory, "--node-id", id, ...addresses, ...entrance]
  const child = start(process.execPath, [...args, "--log-level", "warn", "--ready-file", readyFile], {
    stdio: ["ignore", log, log]
  })
  const ready = await until(
    `${id} listens (its log is ${join(folder, `${id}.log`)})`,
    async () => existsSync(readyFile) ? JSON.parse(readFileSync(readyFile, "utf8")) as Ready : undefined
  )
  return { child, raft: ready.raft, http: ready.http }
}

const clusterAt = async ({ http }: Node): Promise<ClusterJson> => {
  const response = await fetch(`${http}/v1/cluster`, { signal: AbortSignal.timeout(2_000) })
  return await response.json() as ClusterJson
}

export const http = (folder: string, atAll: boolean): Contender => {
  const nodes: Array<Node> = []
  let leader: Node | undefined

  const findLeader = async (): Promise<Node | undefined> => {
    const views = await Promise.all(nodes.map(clusterAt))
    const named = views[0]?.leader ?? null
    const agreed = views.every(({ leader, members }) =>
      leader === named && members.filter(({ voter }) => voter).length === 3
    )
    return agreed && named !== null ? nodes[views.findIndex(({ nodeId }) => nodeId === named)] : undefined
  }

  const load = async (level: Level, ms: number): Promise<LoadResult> => {
    const at = atAll && level.clients >= nodes.length ? nodes : nodes.filter((node) => node === leader)
    const env = {
      ...process.env,
      BENCH_ADDRESSES: at.map((node) => new URL(node.http).host).join(","),
      BENCH_KEYS: String(level.keys),
      BENCH_VALUE_BYTES: String(level.valueBytes)
    }
    const size = [`-t${at.length}`, `-c${level.clients}`, `-d${Math.ceil(ms / 1000)}s`]
    const printed = await output("wrk", [...size, "--timeout", "10s", "-s", script, at[0]?.http ?? ""], { env })
    const line = printed.split("\n").find((text) => text.startsWith("RESULT "))
    if (line === undefined) throw new Error(`wrk printed no result:\n${printed}`)
    return JSON.parse(line.slice("RESULT ".length)) as LoadResult
  }

  return {
    name: "http",
    describe: `distkv, three servers over SSH, on disk, wrk at ${atAll ? "all three" : "the leader"}`,
    start: async () => {
      const directories = await makeDirectories(folder)
      for (const [i, directory] of directories.entries()) {
        nodes.push(await launch(folder, directory, nodeIds[i] ?? "", nodes[0]?.raft))
      }
    },
    ready: async () => {
      leader = await until("distkv elects a leader", findLeader)
    },
    load,
    processes: () =>
      [...nodes.filter((node) => node === leader), ...nodes.filter((node) => node !== leader)]
        .map((node) => ({ name: nodeIds[nodes.indexOf(node)] ?? "", pid: pidOf(node.child) })),
    stop: async () => {
      await Promise.all(nodes.map(({ child }) => end(child)))
    }
  }
}
