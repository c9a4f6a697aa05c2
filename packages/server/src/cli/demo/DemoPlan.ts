/**
 * Which nodes a demo has, and where they listen: made at its first run, kept in its directory, found at the next.
 *
 * The nodes know each other by their SSH addresses, so these stay as they are; HTTP addresses may differ between runs.
 */
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type CommandFailed, failed, misused } from "../ExitStatus.ts"
import { formatHostPort, type HostPort, parseHostPort } from "../HostPort.ts"
import { choosePorts, drawPorts, isFree } from "../../Ports.ts"

const PlannedNode = Schema.Struct({ id: Schema.String, raft: Schema.String, http: Schema.String })
export type PlannedNode = typeof PlannedNode.Type

const Plan = Schema.Struct({ formatVersion: Schema.Literal(1), nodes: Schema.NonEmptyArray(PlannedNode) })
export type Plan = typeof Plan.Type

export interface Wish {
  readonly dir: string
  /** How many nodes; undefined for as many as there were, or three. */
  readonly nodes: number | undefined
  /** The first node's HTTP address, where the caller insists on one. */
  readonly http: HostPort | undefined
}

const host = "127.0.0.1"
const firstHttp: HostPort = { host, port: 11000 }
const firstRaft: HostPort = { host, port: 12000 }
const mostNodes = 9

const fileOf = (dir: string): string => path.join(dir, "demo.json")

/** Where a node of the demo keeps everything of its own. */
export const dataDirOf = (dir: string, id: string): string => path.join(dir, id)

/** Where a node of the demo writes its log. */
export const logFileOf = (dir: string, id: string): string => path.join(dir, `${id}.log`)

const attempt = <A>(what: string, run: () => A): Effect.Effect<A, CommandFailed> =>
  Effect.try({
    try: run,
    catch: (cause) => failed(`cannot ${what}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

const read = Effect.fnUntraced(function*(dir: string): Effect.fn.Return<Plan | undefined, CommandFailed> {
  const file = fileOf(dir)
  if (!fs.existsSync(file)) return undefined
  const text = yield* attempt(`read ${file}`, () => fs.readFileSync(file, "utf8"))
  return yield* Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(Plan))(text),
    () => failed(`${file} is not a demo's plan; choose another --dir, or remove ${dir} to begin anew`)
  )
})

const write = (dir: string, plan: Plan): Effect.Effect<void, CommandFailed> =>
  attempt(`write ${fileOf(dir)}`, () => {
    fs.mkdirSync(dir, { recursive: true })
    fs.writeFileSync(`${fileOf(dir)}.tmp`, `${JSON.stringify(plan, null, 2)}\n`)
    fs.renameSync(`${fileOf(dir)}.tmp`, fileOf(dir))
  })

const noPorts = failed(`${host} has no free ports`)

/** The addresses of `count` further nodes, counted up from where the demo's ports begin. */
const newNodes = Effect.fnUntraced(function*(
  from: number,
  count: number
): Effect.fn.Return<ReadonlyArray<PlannedNode>, CommandFailed> {
  const https = yield* choosePorts({ host, port: firstHttp.port + from }, count)
  const rafts = yield* choosePorts({ host, port: firstRaft.port + from }, count)
  if (https === undefined || rafts === undefined) return yield* noPorts
  return https.map((port, i) => ({
    id: `n${from + i + 1}`,
    raft: formatHostPort({ host, port: rafts[i]! }),
    http: formatHostPort({ host, port })
  }))
})

/** An address that the caller insists on is had, or the demo does not start. */
const insist = Effect.fnUntraced(function*(
  nodes: ReadonlyArray<PlannedNode>,
  first: HostPort
): Effect.fn.Return<ReadonlyArray<PlannedNode>, CommandFailed> {
  if (first.port === 0) return yield* withFreeHttp(nodes, first.host, true)
  const moved = nodes.map((node, i) => ({ ...node, http: formatHostPort({ host: first.host, port: first.port + i }) }))
  for (const { http } of moved) {
    const address = parseHostPort(http)
    if (address === undefined) return yield* misused(`--http leaves no port for the last node: ${http}`)
    if (!(yield* isFree(address))) return yield* failed(`${http} is taken, or no address of this machine`)
  }
  return moved
})

/** HTTP addresses that are taken (`all`: every one) give way to free ones. */
const withFreeHttp = Effect.fnUntraced(function*(
  nodes: ReadonlyArray<PlannedNode>,
  httpHost: string,
  all: boolean
): Effect.fn.Return<ReadonlyArray<PlannedNode>, CommandFailed> {
  const taken = yield* Effect.filter(nodes, (node) =>
    all ? Effect.succeed(true) : Effect.map(isFree(parseHostPort(node.http)!), (free) => !free))
  const ports = yield* drawPorts(httpHost, taken.length)
  if (ports === undefined) return yield* noPorts
  return nodes.map((node) => {
    const at = taken.indexOf(node)
    return at === -1 ? node : { ...node, http: formatHostPort({ host: httpHost, port: ports[at]! }) }
  })
})

const checkRaftPorts = Effect.fnUntraced(function*(plan: Plan): Effect.fn.Return<void, CommandFailed> {
  for (const { id, raft } of plan.nodes) {
    const address = parseHostPort(raft)
    if (address === undefined || !(yield* isFree(address))) {
      return yield* failed(`${raft}, where the others know ${id}, is taken: does this demo run already?`)
    }
  }
})

/** The plan for this run, written down before anything is started. */
export const makePlan = Effect.fnUntraced(function*(wish: Wish): Effect.fn.Return<Plan, CommandFailed> {
  const kept = yield* read(wish.dir)
  const count = wish.nodes ?? kept?.nodes.length ?? 3
  if (count > mostNodes) return yield* misused(`--nodes must be at most ${mostNodes}`)
  if (kept !== undefined && count < kept.nodes.length) {
    return yield* misused(`${wish.dir} holds ${kept.nodes.length} nodes; a smaller demo needs another --dir`)
  }
  if (kept !== undefined) yield* checkRaftPorts(kept)
  const before: ReadonlyArray<PlannedNode> = kept?.nodes ?? []
  const fresh = count === before.length ? [] : yield* newNodes(before.length, count - before.length)
  const all = [...before, ...fresh]
  const [first, ...rest] = wish.http === undefined ? yield* withFreeHttp(all, host, false) : yield* insist(all, wish.http)
  const plan: Plan = { formatVersion: 1, nodes: [first!, ...rest] }
  yield* write(wish.dir, plan)
  return plan
})
