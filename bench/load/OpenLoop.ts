/**
 * Calls at a fixed rate, whether or not the replies keep up, over kept connections. A time counts from when its call
 * was due, so that a pause of the server shows in every call that it delayed, and not only in those it had (coordinated
 * omission). Written on bare sockets: the generator shares the machine with what it measures.
 */
import { encodeIntoCompressedBase64 } from "hdr-histogram-js"
import { connect, type Socket } from "node:net"
import { histogram, record } from "./Percentiles.ts"

/** What the parent says. */
export interface OpenLoop {
  readonly address: string
  readonly connections: number
  readonly perSecond: number
  readonly ms: number
  readonly keys: number
  readonly valueBytes: number
}

export interface OpenLoopResult {
  readonly operations: number
  readonly errors: number
  /** Calls that were due and not sent when the time was over. */
  readonly unsent: number
  readonly latencies: string
}

class Connection {
  private readonly socket: Socket
  private readonly done: (ok: boolean, due: number) => void
  private rest: Buffer = Buffer.alloc(0)
  /** When the call that waits for its reply was due; NaN where none does. */
  due = Number.NaN

  constructor(host: string, port: number, done: (ok: boolean, due: number) => void) {
    this.done = done
    this.socket = connect(port, host).setNoDelay(true)
    this.socket.on("data", (chunk) => this.read(chunk))
    this.socket.on("error", () => this.settle(false))
  }

  send(message: string, due: number): void {
    this.due = due
    this.socket.write(message)
  }

  close(): void {
    this.socket.destroy()
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

const run = (plan: OpenLoop): Promise<OpenLoopResult> =>
  new Promise((resolve) => {
    const micros = histogram()
    const [host = "", port = ""] = plan.address.split(":")
    const value = "x".repeat(plan.valueBytes)
    let operations = 0
    let errors = 0
    let sent = 0
    const began = performance.now()
    const dueOf = (call: number) => began + call * 1000 / plan.perSecond
    const free: Array<Connection> = []
    const all = Array.from({ length: plan.connections }, () => {
      const connection = new Connection(host, Number(port), (ok, due) => {
        record(micros, performance.now() - due)
        if (ok) operations++
        else errors++
        free.push(connection)
        pump()
      })
      return connection
    })
    free.push(...all)
    const pump = () => {
      const now = performance.now()
      while (free.length > 0 && dueOf(sent) <= now && now - began < plan.ms) {
        const key = `key-${String(Math.floor(Math.random() * plan.keys)).padStart(8, "0")}`
        const head = `PUT /v1/kv/${key} HTTP/1.1\r\nHost: ${plan.address}\r\nContent-Type: application/octet-stream\r\n`
        free.pop()?.send(`${head}Content-Length: ${plan.valueBytes}\r\n\r\n${value}`, dueOf(sent++))
      }
    }
    const timer = setInterval(() => {
      pump()
      if (performance.now() - began < plan.ms) return
      if (free.length < all.length && performance.now() - began < plan.ms + 5_000) return
      clearInterval(timer)
      for (const connection of all) connection.close()
      const unsent = Math.max(0, Math.floor(plan.ms * plan.perSecond / 1000) - sent)
      resolve({ operations, errors, unsent, latencies: encodeIntoCompressedBase64(micros) })
    }, 1)
  })

process.once("message", (plan: OpenLoop) => {
  void run(plan).then((result) => process.send?.(result, undefined, undefined, () => process.disconnect()))
})
