/** A process that carries nodes and the writers that load them; started by the benchmark with its assignment. */
import { DistKv, DistKvLayer, MemoryLogStore, MemoryStateStore, MemoryTransport } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { SshTransport } from "@distkv/transport-ssh"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Context, Effect, Layer, Queue } from "effect"
import { load } from "./Load.ts"
import type { Answer, Assignment, NodeReport, Question } from "./Protocol.ts"

type Kv = DistKv["Service"]

const report = (kv: Kv): Effect.Effect<NodeReport, unknown> =>
  Effect.map(kv.status, ({ address, leader, members, nodeId, ready }) => ({
    address,
    leads: leader === nodeId,
    leader,
    voters: members.filter(({ standing }) => standing === "voter").length,
    ready: ready.leader && ready.applied && ready.storage && ready.open
  }))

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
  return [first, yield* build("n2", address), yield* build("n3", address)]
})

const oneOnDisk = ({ directory, join, nodeId }: Extract<Assignment, { kind: "node" }>) =>
  Effect.gen(function*() {
    const ports = Layer.mergeAll(LmdbStorage.layer({ directory }), SshTransport.layer({ dataDir: directory }))
    const node = DistKvLayer({ nodeId, start: join === null ? "bootstrap" : { join: [join] } })
    return [Context.get(yield* Layer.build(Layer.provide(node, ports)), DistKv)]
  })

const answer = Effect.fnUntraced(function*(nodes: ReadonlyArray<Kv>, question: Question) {
  const reports = yield* Effect.forEach(nodes, report)
  const leading = nodes[Math.max(0, reports.findIndex(({ leads }) => leads))]
  if (leading === undefined) return yield* Effect.die("a process without a node")
  if (question.ask === "load") {
    return { answer: "load", result: yield* load(leading, question.level, question.ms) } satisfies Answer
  }
  const own = yield* report(leading)
  return { answer: "status", report: { ...own, ready: reports.every(({ ready }) => ready) } } satisfies Answer
})

const assignment = JSON.parse(process.argv[2] ?? "null") as Assignment
const questions = Effect.runSync(Queue.unbounded<Question>())
process.on("message", (question: Question) => Queue.offerUnsafe(questions, question))
process.once("disconnect", () => process.exit())

const program = Effect.gen(function*() {
  const nodes = yield* (assignment.kind === "memory" ? threeInMemory : oneOnDisk(assignment))
  while (true) {
    const reply = yield* Effect.catchCause(
      answer(nodes, yield* Queue.take(questions)),
      (cause) => Effect.succeed<Answer>({ answer: "failed", message: Cause.pretty(cause) })
    )
    process.send?.(reply)
  }
})

NodeRuntime.runMain(Effect.scoped(program))
