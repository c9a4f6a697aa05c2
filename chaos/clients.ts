/**
 * The clients of one node, in a process of their own next to it (in its network namespace, where it has one): they
 * call it over HTTP, note what they asked and heard, and pass on questions of the run.
 *
 * Every value is written once in a run, so that a value read tells which write it is of.
 */
import type { EntryInput, EntryOutput, ShownEntry } from "@distkv/core/testing"
import { makePrng, type Prng } from "@distkv/core/testing"
import { Agent, request } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { fill } from "./fill.ts"
import type { Call, FromClients, ToClients, Workload } from "./Protocol.ts"
import { nowMicros } from "./Waiting.ts"

const node = Number(process.argv[2])

/** Keys that clients share within an epoch. */
const sharedKeys = 12
/** Milliseconds until noted calls are handed over. */
const handOverMs = 25
/** What a client grants beyond the deadline it gave the node. */
const graceMs = 1500

let http: string | null = null
let epoch = 0
let resting = true
let noted: Array<Call> = []

const say = (message: FromClients): void => {
  if (process.connected) process.send?.(message)
}

const handOver = (): void => {
  if (noted.length === 0) return
  say({ _tag: "Calls", calls: noted })
  noted = []
}

interface Reply {
  readonly status: number
  readonly body: string
  readonly revision: number
}

class Unanswered extends Error {
  /** Nothing of the request can have reached a node. */
  readonly unsent: boolean
  readonly code: string

  constructor(unsent: boolean, code: string) {
    super(code)
    this.unsent = unsent
    this.code = code
  }
}

const ask = (
  agent: Agent,
  base: string,
  method: string,
  path: string,
  limitMs: number,
  body?: string | Buffer,
  headers: Readonly<Record<string, string>> = {}
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base)
    let connected = false
    const size: Record<string, string | number> = body === undefined
      ? {}
      : { "Content-Length": Buffer.byteLength(body) }
    const sent = request({ agent, hostname, port, method, path, headers: { ...headers, ...size } }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => text += chunk)
      response.on("end", () => {
        clearTimeout(timer)
        resolve({
          status: response.statusCode ?? 0,
          body: text,
          revision: Number(response.headers["distkv-revision"] ?? Number.NaN)
        })
      })
    })
    const timer = setTimeout(() => sent.destroy(new Unanswered(!connected, "timeout")), limitMs)
    sent.on("socket", (socket) => {
      if (!socket.connecting) connected = true
      else socket.once("connect", () => (connected = true))
    })
    sent.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(error instanceof Unanswered ? error : new Unanswered(!connected, error.code ?? error.message))
    })
    sent.on("close", () => reject(new Unanswered(!connected, "closed")))
    sent.end(body)
  })

interface EntryJson {
  readonly value: string
  readonly modRevision: string
}

const shown = (entry: EntryJson | null): ShownEntry | null =>
  entry === null
    ? null
    : { value: Buffer.from(entry.value, "base64").toString("utf8"), modRevision: Number(entry.modRevision) }

const answered = (output: EntryOutput): Call["outcome"] => ({ _tag: "Answered", output })

/** What a reply says of the call. */
const outcomeOf = (input: EntryInput, { body, revision, status }: Reply): Call["outcome"] => {
  const json = JSON.parse(body)
  if (status === 200) {
    switch (input.op) {
      case "get":
        return answered({ _tag: "Read", revision, entry: shown(json) })
      case "set": {
        const previous = json.previous === undefined ? undefined : shown(json.previous)
        return answered({ _tag: "Set", revision: Number(json.revision), created: json.created, previous })
      }
      case "delete":
        return answered({ _tag: "Deleted", revision: Number(json.revision), deleted: json.deleted })
    }
  }
  if (json.code === "KeyNotFound") return answered({ _tag: "Read", revision: Number(json.revision), entry: null })
  if (json.code === "CompareFailed") {
    return answered({ _tag: "CompareFailed", revision: Number(json.revision), current: shown(json.current) })
  }
  return json.applied === "no" || input.op === "get"
    ? { _tag: "Refused", code: json.code }
    : { _tag: "Unknown", code: json.code }
}

const call = async (agent: Agent, base: string, input: EntryInput, timeoutMs: number): Promise<Call["outcome"]> => {
  const guard: Record<string, string> = input.op === "get" || input.ifRevision === null
    ? {}
    : input.ifRevision === 0
    ? { "If-None-Match": "*" }
    : { "If-Match": `"${input.ifRevision}"` }
  const own = input.key.startsWith("own/")
  const target = `/v1/kv/${encodeURIComponent(input.key)}?timeout=${timeoutMs}ms`
  const limitMs = timeoutMs + graceMs
  try {
    switch (input.op) {
      case "get":
        return outcomeOf(
          input,
          await ask(agent, base, "GET", target, limitMs, undefined, { Accept: "application/json" })
        )
      case "set": {
        const path = own ? target : `${target}&previous=true`
        return outcomeOf(input, await ask(agent, base, "PUT", path, limitMs, input.value, guard))
      }
      case "delete":
        return outcomeOf(input, await ask(agent, base, "DELETE", target, limitMs, undefined, guard))
    }
  } catch (error) {
    const code = error instanceof Unanswered ? error.code : String(error)
    const unsent = error instanceof Unanswered && error.unsent
    return { _tag: unsent || input.op === "get" ? "Refused" : "Unknown", code }
  }
}

/** The calls of one client, one after another. */
class Client {
  private readonly name: string
  private readonly random: Prng
  private readonly workload: Workload
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })
  private readonly known = new Map<string, number>()
  private serial = 0

  constructor(workload: Workload, number: number) {
    this.workload = workload
    this.name = `${node}-${number}`
    this.random = makePrng(workload.seed * 1_000_003 + node * 1009 + number)
  }

  async run(slot: () => Promise<void>): Promise<void> {
    while (true) {
      await slot()
      if (resting) break
      const base = http
      if (base === null) {
        await sleep(20)
        continue
      }
      const input = this.draw()
      const called = nowMicros()
      const outcome = await call(this.agent, base, input, this.workload.timeoutMs)
      noted.push({ client: this.name, node, input, called, returned: nowMicros(), outcome })
      if (outcome._tag === "Answered") this.learn(input.key, outcome.output)
      else await sleep(outcome._tag === "Refused" ? 100 : 20)
    }
    this.agent.destroy()
  }

  private learn(key: string, output: EntryOutput): void {
    if (key.startsWith("own/")) return
    if (output._tag === "Read") this.known.set(key, output.entry?.modRevision ?? 0)
    if (output._tag === "Set") this.known.set(key, output.revision)
    if (output._tag === "CompareFailed") this.known.set(key, output.current?.modRevision ?? 0)
  }

  private draw(): EntryInput {
    const { random } = this
    const value = `${this.name}.${++this.serial}`.padEnd(48, ".")
    if (!random.chance(this.workload.shared)) {
      return { op: "set", key: `own/${this.name}/${this.serial}`, value, ifRevision: null }
    }
    const key = `e${epoch}/k${random.int(1, sharedKeys)}`
    const kind = random.next()
    if (kind < 0.45) return { op: "get", key }
    if (kind < 0.7) return { op: "set", key, value, ifRevision: null }
    if (kind < 0.93) return { op: "set", key, value, ifRevision: this.known.get(key) ?? 0 }
    return { op: "delete", key, ifRevision: null }
  }
}

/** Calls that are not writes take a place of their own. */
const callsPerWrite = ({ shared }: Workload): number => 1 / (1 - shared * 0.45)

/** Gives each call its moment, so that a node's clients together make as many writes a second as wanted, not more. */
const pace = (workload: Workload): () => Promise<void> => {
  const everyMs = 1000 / (workload.writesPerSecond * callsPerWrite(workload))
  let next = performance.now()
  return async () => {
    const now = performance.now()
    // What was missed while the node did not answer is not made up for.
    next = Math.max(next + everyMs, now - 200)
    if (next > now) await sleep(next - now)
  }
}

const load = async (workload: Workload): Promise<void> => {
  resting = false
  const slot = pace(workload)
  const clients = Array.from({ length: workload.clients }, (_, number) => new Client(workload, number))
  await Promise.all(clients.map((client) => client.run(slot)))
  handOver()
  say({ _tag: "Rested" })
}

/** Writes one large value; whether it was taken. */
const put = async (key: string, value: Buffer): Promise<boolean> => {
  try {
    if (http === null) throw new Unanswered(true, "no node")
    const { status } = await ask(keepAlive, http, "PUT", `/v1/kv/${encodeURIComponent(key)}?timeout=30s`, 35_000, value)
    return status === 200
  } catch {
    return false
  }
}

const keepAlive = new Agent({ keepAlive: true })
const questions = new Agent({ keepAlive: false })

const answer = async ({ body, id, method, path }: Extract<ToClients, { readonly _tag: "Ask" }>): Promise<void> => {
  const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" }
  try {
    if (http === null) throw new Unanswered(true, "no node")
    const reply = await ask(questions, http, method, path, 10_000, body, headers)
    say({ _tag: "Told", id, status: reply.status, body: reply.body })
  } catch (error) {
    say({ _tag: "Told", id, status: 0, body: String(error) })
  }
}

process.on("message", (message: ToClients) => {
  switch (message._tag) {
    case "At":
      return void (http = message.http)
    case "Epoch":
      return void (epoch = message.epoch)
    case "Load":
      return void load(message.workload)
    case "Rest":
      return void (resting = true)
    case "Fill":
      return void fill(message.keys, message.bytes, put).then((again) => say({ _tag: "Filled", again }))
    case "Ask":
      return void answer(message)
  }
})
process.on("disconnect", () => process.exit())
setInterval(handOver, handOverMs)
