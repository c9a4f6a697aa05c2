/** A service as a user would write it: a process that carries nodes, or a client of etcd, and calls them. */
import { DistKv, DistKvLayer, MemoryLogStore, MemoryStateStore, MemoryTransport } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { SshTransport } from "@distkv/transport-ssh"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Context, Effect, Layer, Queue } from "effect"
import type { Level } from "../Contender.ts"
import { call, fill, type Store } from "../load/Callers.ts"
import type { Answer, Assignment, NodeReport, Question } from "./Protocol.ts"

type Kv = DistKv["Service"]

/** What a process answers for. */
interface Service {
  readonly report: Effect.Effect<NodeReport, unknown>
  /** Where the calls go: of several nodes in one process, the leader. */
  readonly store: Effect.Effect<Store, unknown>
}

const reportOf = (kv: Kv): Effect.Effect<NodeReport, unknown> =>
  Effect.map(kv.status, ({ address, leader, members, nodeId, ready }) => ({
    address,
    leads: leader === nodeId,
    leader,
    voters: members.filter(({ standing }) => standing === "voter").length,
    ready: ready.leader && ready.applied && ready.storage && ready.open
  }))

/** What each write costs beside the write, for the check of the check; otherwise nothing. */
const burnMicros = Number(process.env["BENCH_BURN_MICROS"] ?? "0")

const burn = () => {
  const until = performance.now() + burnMicros / 1000
  while (performance.now() < until);
}

const storeOf = (kv: Kv): Store => ({
  set: burnMicros === 0
    ? (key, value) => kv.set(key, value)
    : (key, value) => Effect.andThen(Effect.sync(burn), kv.set(key, value)),
  get: (key, consistency) => kv.get(key, { consistency })
})

const carrying = (nodes: ReadonlyArray<Kv>): Service => {
  const first = nodes[0]
  if (first === undefined) throw new Error("a process without a node")
  const leading = Effect.map(
    Effect.forEach(nodes, reportOf),
    (reports) => nodes[reports.findIndex(({ leads }) => leads)] ?? first
  )
  return {
    report: Effect.gen(function*() {
      const reports = yield* Effect.forEach(nodes, reportOf)
      const own = reports.find(({ leads }) => leads) ?? (yield* reportOf(first))
      return { ...own, ready: reports.every(({ ready }) => ready) }
    }),
    store: Effect.map(leading, storeOf)
  }
}

/** Three nodes in this process; every message between them goes through the codec. */
const threeInMemory = Effect.gen(function*() {
  const network = yield* Layer.build(MemoryTransport.network)
  const build = Effect.fnUntraced(function*(nodeId: string, join: string | null) {
    const ports = Layer.mergeAll(MemoryTransport.layer(), MemoryLogStore.layer, MemoryStateStore.layer)
    const node = Layer.fresh(DistKvLayer({ nodeId, start: join === null ? "bootstrap" : { join: [join] } }))
    const context = yield* Layer.build(Layer.fresh(Layer.provide(node, ports))).pipe(Effect.provideContext(network))
    return Context.get(context, DistKv)
  })
  const first = yield* build("n1", null)
  const { address } = yield* first.status
  return carrying([first, yield* build("n2", address), yield* build("n3", address)])
})

const oneOnDisk = ({ directory, join, nodeId }: Extract<Assignment, { kind: "node" }>) =>
  Effect.gen(function*() {
    const ports = Layer.mergeAll(LmdbStorage.layer({ directory }), SshTransport.layer({ dataDir: directory }))
    const node = DistKvLayer({ nodeId, start: join === null ? "bootstrap" : { join: [join] } })
    return carrying([Context.get(yield* Layer.build(Layer.provide(node, ports)), DistKv)])
  })

const clientOfEtcd = ({ hosts }: Extract<Assignment, { kind: "etcd3" }>) =>
  Effect.promise(async (): Promise<Service> => {
    const { Etcd3 } = await import("etcd3")
    const client = new Etcd3({ hosts: [...hosts] })
    const get = async (key: string, consistency: Level["consistency"]) => {
      const asked = consistency === "stale" ? client.get(key).serializable(true) : client.get(key)
      if (await asked.buffer() === null) throw new Error(`no key ${key}`)
    }
    return {
      report: Effect.map(
        Effect.tryPromise(() => client.maintenance.status()),
        () => ({ address: "", leads: false, leader: "etcd", voters: 3, ready: true })
      ),
      store: Effect.succeed({
        set: (key, value) => Effect.tryPromise(() => client.put(key).value(Buffer.from(value.buffer)).exec()),
        get: (key, consistency) => Effect.tryPromise(() => get(key, consistency))
      })
    }
  })

const answer = Effect.fnUntraced(function*(service: Service, question: Question) {
  switch (question.ask) {
    case "status":
      return { answer: "status", report: yield* service.report } satisfies Answer
    case "fill":
      yield* fill(yield* service.store, question.keys, question.valueBytes, question.from)
      return { answer: "filled" } satisfies Answer
    case "load":
      return {
        answer: "load",
        result: yield* call(yield* service.store, question.level, question.ms)
      } satisfies Answer
  }
})

const assignment = JSON.parse(process.argv[2] ?? "null") as Assignment
const questions = Effect.runSync(Queue.unbounded<Question>())
process.on("message", (question: Question) => Queue.offerUnsafe(questions, question))
process.once("disconnect", () => process.exit())

const begin = () => {
  switch (assignment.kind) {
    case "memory":
      return threeInMemory
    case "node":
      return oneOnDisk(assignment)
    case "etcd3":
      return clientOfEtcd(assignment)
  }
}

const program = Effect.gen(function*() {
  const service = yield* begin()
  while (true) {
    const reply = yield* Effect.catchCause(
      answer(service, yield* Queue.take(questions)),
      (cause) => Effect.succeed<Answer>({ answer: "failed", message: Cause.pretty(cause) })
    )
    process.send?.(reply)
  }
})

NodeRuntime.runMain(Effect.scoped(program))
