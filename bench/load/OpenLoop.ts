/**
 * Calls at a fixed rate, whether or not the replies keep up, over kept connections. A time counts from when its call
 * was due, so that a pause of the server shows in every call that it delayed, and not only in those it had (coordinated
 * omission). Written on bare sockets: the generator shares the machine with what it measures.
 *
 * What is due is sent by a timer of a millisecond and whenever a reply sets a connection free. So up to a millisecond
 * of each time is the generator's own, and more where the machine does not let it run.
 *
 * No call is forgotten, since those that are missing would be the slowest: one whose connection ends has failed, and
 * one that is open or was never sent when all is over counts with the time it has waited until then.
 */
import { encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js"
import { connect, type Socket } from "node:net"
import { histogram, record } from "./Percentiles.ts"

/** What the parent says first. */
export interface OpenLoop {
  readonly address: string
  readonly connections: number
  readonly perSecond: number
  readonly keys: number
  readonly valueBytes: number
}

/** What it says afterwards: what is due from now on counts apart; nothing more is due, and it answers. */
export type Order = "next" | "end"

/** The calls that were due between two orders. */
export interface Part {
  readonly seconds: number
  readonly operations: number
  /** Calls that failed, or had no reply for so long after the end that they were given up. */
  readonly errors: number
  /** Calls that were due and not sent when the time was over. */
  readonly unsent: number
  readonly latencies: string
}

/** For so long the last replies are waited for. */
const patienceMs = 5_000

class Connection {
  private readonly host: string
  private readonly port: number
  private readonly done: (ok: boolean, due: number) => void
  private socket: Socket | undefined
  private rest: Buffer = Buffer.alloc(0)
  /** When the call that waits for its reply was due; NaN where none does. */
  due = Number.NaN

  constructor(host: string, port: number, done: (ok: boolean, due: number) => void) {
    this.host = host
    this.port = port
    this.done = done
    this.socket = this.connect()
  }

  /** Over a new connection where the last one has ended. */
  send(message: string, due: number): void {
    this.due = due
    this.socket ??= this.connect()
    this.socket.write(message)
  }

  /** What waits for a reply waits no more, and nobody is told. */
  close(): void {
    this.due = Number.NaN
    this.socket?.destroy()
  }

  private connect(): Socket {
    const socket = connect(this.port, this.host).setNoDelay(true)
    this.rest = Buffer.alloc(0)
    socket.on("data", (chunk) => this.read(chunk))
    socket.on("error", () => socket.destroy()) // and it closes
    socket.on("close", () => {
      this.socket = undefined
      this.settle(false)
    })
    return socket
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const head = this.rest.indexOf("\r\n\r\n")
    if (head === -1) return
    const text = this.rest.toString("latin1", 0, head)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0)
    if (this.rest.length < head + 4 + length) return
    this.rest = Buffer.alloc(0)
    this.settle(text.startsWith("HTTP/1.1 2"))
  }

  private settle(ok: boolean): void {
    const { due } = this
    this.due = Number.NaN
    if (!Number.isNaN(due)) this.done(ok, due)
  }
}

/** Counts of one part. */
interface Count {
  readonly from: number
  readonly micros: Histogram
  operations: number
  errors: number
  unsent: number
}

const countFrom = (from: number): Count => ({ from, micros: histogram(), operations: 0, errors: 0, unsent: 0 })

class Run {
  private readonly plan: OpenLoop
  private readonly began = performance.now()
  private readonly counts: Array<Count> = [countFrom(this.began)]
  private readonly all: ReadonlyArray<Connection>
  private readonly free: Array<Connection>
  private sent = 0
  private ends = Number.POSITIVE_INFINITY

  constructor(plan: OpenLoop) {
    this.plan = plan
    const [host = "", port = ""] = plan.address.split(":")
    const make = () => {
      const connection: Connection = new Connection(host, Number(port), (ok, due) => {
        this.count(due, ok ? "operations" : "errors")
        this.free.push(connection)
        this.pump()
      })
      return connection
    }
    this.all = Array.from({ length: plan.connections }, make)
    this.free = [...this.all]
  }

  obey(order: Order): void {
    if (order === "next") this.counts.push(countFrom(performance.now()))
    else this.ends = performance.now()
  }

  whole(): Promise<ReadonlyArray<Part>> {
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        this.pump()
        const now = performance.now()
        if (now < this.ends || (this.free.length < this.all.length && now < this.ends + patienceMs)) return
        clearInterval(timer)
        resolve(this.conclude())
      }, 1)
    })
  }

  private dueOf(call: number): number {
    return this.began + call * 1000 / this.plan.perSecond
  }

  private count(due: number, what: "operations" | "errors" | "unsent"): void {
    const count = this.counts.findLast(({ from }) => from <= due) ?? this.counts[0]!
    record(count.micros, performance.now() - due)
    count[what]++
  }

  private pump(): void {
    const { address, keys, valueBytes } = this.plan
    const now = performance.now()
    if (now >= this.ends) return
    const value = "x".repeat(valueBytes)
    while (this.free.length > 0 && this.dueOf(this.sent) <= now) {
      const key = `key-${String(Math.floor(Math.random() * keys)).padStart(8, "0")}`
      const head = `PUT /v1/kv/${key} HTTP/1.1\r\nHost: ${address}\r\nContent-Type: application/octet-stream\r\n`
      this.free.pop()?.send(`${head}Content-Length: ${valueBytes}\r\n\r\n${value}`, this.dueOf(this.sent++))
    }
  }

  private conclude(): ReadonlyArray<Part> {
    for (const connection of this.all) {
      if (!Number.isNaN(connection.due)) this.count(connection.due, "errors")
      connection.close()
    }
    for (; this.dueOf(this.sent) < this.ends; this.sent++) this.count(this.dueOf(this.sent), "unsent")
    return this.counts.map(({ errors, from, micros, operations, unsent }, i) => ({
      seconds: ((this.counts[i + 1]?.from ?? this.ends) - from) / 1000,
      operations,
      errors,
      unsent,
      latencies: encodeIntoCompressedBase64(micros)
    }))
  }
}

process.once("message", (plan: OpenLoop) => {
  const run = new Run(plan)
  process.on("message", (order: Order) => run.obey(order))
  void run.whole().then((parts) => process.send?.(parts, undefined, undefined, () => process.disconnect()))
})
