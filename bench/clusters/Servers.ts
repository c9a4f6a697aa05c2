/** distkv as a server: processes over SSH with their data on disk, under `wrk`, which calls through HTTP. */
import type { ChildProcess } from "node:child_process"
import { existsSync, openSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { At, Contender, Restarting } from "../Contender.ts"
import { keyOf } from "../load/Callers.ts"
import { wrk } from "../load/Wrk.ts"
import { end, pidOf, start } from "./Processes.ts"
import { makeDirectories, nodeIds } from "./Services.ts"
import { longLimitMs, until } from "./Waiting.ts"

/** This checkout's program. */
export const ownProgram = fileURLToPath(new URL("../../packages/server/bin/distkv.mjs", import.meta.url))

export interface ServersOptions {
  /** Default 3. */
  readonly nodes?: number
  /** The `distkv.mjs` to run; this checkout's unless told otherwise. */
  readonly program?: string
  readonly nodeFlags?: ReadonlyArray<string>
  /** Further options of `distkv start`. */
  readonly startFlags?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly name?: string
}

/** What a node writes to its ready file. */
interface Ready {
  readonly raft: string
  readonly http: string
}

interface Node extends Ready {
  readonly id: string
  child: ChildProcess
}

interface ClusterJson {
  readonly nodeId: string
  readonly leader: string | null
  readonly members: ReadonlyArray<{ readonly voter: boolean }>
}

export interface Servers extends Restarting {
  /** `host:port` of the HTTP interfaces, the leader's first. */
  readonly addresses: (at: At) => ReadonlyArray<string>
  /** The ports at which the nodes talk to each other. */
  readonly peerPorts: () => ReadonlyArray<number>
}

const clusterAt = async (http: string): Promise<ClusterJson> => {
  const response = await fetch(`${http}/v1/cluster`, { signal: AbortSignal.timeout(2_000) })
  return await response.json() as ClusterJson
}

/** Writes many keys with each call, so that a million takes a minute. */
const fillAt = async (http: string, keys: number, valueBytes: number, from: number): Promise<void> => {
  const perCall = Math.max(1, Math.min(128, Math.floor(262_144 / valueBytes)))
  const value = "x".repeat(valueBytes)
  let next = from
  const writer = async () => {
    while (next < keys) {
      const first = next
      next += perCall
      const entries: Record<string, string> = {}
      for (let i = first; i < Math.min(keys, first + perCall); i++) entries[keyOf(i)] = value
      const response = await fetch(`${http}/key`, { method: "POST", body: JSON.stringify(entries) })
      if (!response.ok) throw new Error(`the keys could not be written: ${await response.text()}`)
      await response.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: 8 }, writer))
}

const spawnNode = async (
  folder: string,
  id: string,
  entrance: ReadonlyArray<string>,
  { env, nodeFlags = [], program = ownProgram, startFlags = [] }: ServersOptions,
  limitMs?: number
): Promise<Node> => {
  const readyFile = join(folder, `${id}.json`)
  rmSync(readyFile, { force: true })
  const logFile = join(folder, `${id}.log`)
  const log = openSync(logFile, "a")
  const args = [
    ...nodeFlags,
    program,
    "start",
    ...["--data-dir", join(folder, id), "--node-id", id],
    ...["--raft", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "warn", "--ready-file", readyFile],
    ...startFlags,
    ...entrance
  ]
  const child = start(process.execPath, args, { stdio: ["ignore", log, log], env: { ...process.env, ...env } })
  const ready = await until(
    `${id} listens`,
    async () => {
      if (existsSync(readyFile)) return JSON.parse(readFileSync(readyFile, "utf8")) as Ready
      return child.exitCode === null ? undefined : null // it will never listen
    },
    limitMs === undefined ? {} : { limitMs }
  ).catch((error: Error) => error)
  if (ready === null || ready instanceof Error) {
    const why = ready === null ? `${id} ended with ${child.exitCode}` : ready.message
    throw new Error(`${why}; its log ends with:\n${readFileSync(logFile, "utf8").slice(-1000)}`)
  }
  return { id, child, raft: ready.raft, http: ready.http }
}

const known = new Map<string, Servers>()

/** Asked for again for the same folder, it is the same cluster: sections of a quick run share theirs. */
export const servers = (folder: string, options: ServersOptions = {}): Servers => {
  const cluster = known.get(folder) ?? make(folder, options)
  known.set(folder, cluster)
  return cluster
}

const make = (folder: string, options: ServersOptions): Servers => {
  const { nodes: size = 3 } = options
  const nodes: Array<Node> = []
  let leader: Node | undefined

  const findLeader = async (): Promise<Node | undefined> => {
    const views = await Promise.all(nodes.map(({ http }) => clusterAt(http)))
    const named = views[0]?.leader ?? null
    const agreed = views.every(({ leader, members }) =>
      leader === named && members.filter(({ voter }) => voter).length === size
    )
    return agreed && named !== null ? nodes[views.findIndex(({ nodeId }) => nodeId === named)] : undefined
  }
  const ordered = () => [...nodes.filter((node) => node === leader), ...nodes.filter((node) => node !== leader)]

  return {
    name: options.name ?? "http",
    addresses: (at) => ordered().slice(0, at === "all" ? size : 1).map(({ http }) => new URL(http).host),
    peerPorts: () => nodes.map(({ raft }) => Number(raft.slice(raft.lastIndexOf(":") + 1))),
    folders: () => nodes.map(({ id }) => join(folder, id)),
    ids: () => ordered().map(({ id }) => id),
    start: async () => {
      await makeDirectories(folder, size)
      for (const id of nodeIds(size)) {
        const founder = nodes[0]?.raft
        nodes.push(await spawnNode(folder, id, founder === undefined ? ["--bootstrap"] : ["--join", founder], options))
      }
    },
    ready: async () => {
      leader = await until(`${options.name ?? "distkv"} elects a leader`, findLeader)
    },
    fill: (keys, valueBytes, from = 0) => fillAt(leader?.http ?? "", keys, valueBytes, from),
    kill: async (id) => {
      const node = nodes.find((one) => one.id === id)
      if (node !== undefined) await end(node.child)
    },
    again: async (id) => {
      const at = nodes.findIndex((one) => one.id === id)
      nodes[at] = await spawnNode(folder, id, [], options, longLimitMs)
    },
    serves: async () => {
      await Promise.all(nodes.map(({ http, id }) =>
        until(
          `${id} answers a linearizable read`,
          async () => (await fetch(`${http}/v1/kv/${keyOf(0)}`)).ok ? true : undefined,
          { everyMs: 10, limitMs: longLimitMs }
        )
      ))
    },
    processes: () => ordered().map(({ child, id }) => ({ name: id, pid: pidOf(child) })),
    stop: async () => {
      await Promise.all(nodes.splice(0).map(({ child }) => end(child)))
    }
  }
}

/** distkv's servers under `wrk`. */
export const httpOf = (cluster: Servers, at: At): Contender => ({
  name: at === "leader" ? cluster.name : `${cluster.name}, spread`,
  describe: `distkv, three servers over SSH, on disk, wrk at ${at === "leader" ? "the leader" : "all three"}`,
  clusters: [cluster],
  load: (level, ms) => wrk(cluster.addresses(at), "distkv", level, ms)
})
