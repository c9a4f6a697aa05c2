/** One client's connection to one node: a call, its reply, the next. */
import { Effect } from "effect"
import { Agent, type IncomingMessage, request } from "node:http"
import { errorOf } from "../../http/Problem.ts"

/** Bytes of a failed call's reply that are read for its code. */
const maxProblemBytes = 65_536

/** The code of a failure, as the interface names it; `HTTP 502` where whoever answered is no node. */
const codeOf = (status: number, body: Buffer): string => errorOf(body.toString())?._tag ?? `HTTP ${status}`

export class Caller {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })
  private readonly origin: URL
  private readonly timeoutMs: number

  constructor(endpoint: string, timeoutMs: number) {
    this.origin = new URL(endpoint)
    this.timeoutMs = timeoutMs
  }

  /** Undefined for success, the failure's code otherwise, `no reply` where there was none in time. */
  call(method: "GET" | "PUT", path: string, body: Uint8Array | undefined): Effect.Effect<string | undefined> {
    return Effect.callback((resume) => {
      const settle = (code: string | undefined) => resume(Effect.succeed(code))
      const asked = request(
        {
          host: this.origin.hostname.replaceAll(/^\[|\]$/g, ""),
          port: this.origin.port === "" ? 80 : this.origin.port,
          method,
          path,
          agent: this.agent,
          timeout: this.timeoutMs,
          ...body === undefined
            ? {}
            : { headers: { "content-type": "application/octet-stream", "content-length": body.length } }
        },
        (reply) => this.finish(reply, settle)
      )
      asked.on("timeout", () => asked.destroy(new Error("no reply in time")))
      asked.on("error", () => settle("no reply"))
      asked.end(body)
      return Effect.sync(() => void asked.destroy())
    })
  }

  close(): void {
    this.agent.destroy()
  }

  private finish(reply: IncomingMessage, settle: (code: string | undefined) => void): void {
    const status = reply.statusCode ?? 0
    reply.on("error", () => settle("no reply"))
    if (status >= 200 && status < 300) {
      reply.on("end", () => settle(undefined)).resume()
      return
    }
    const pieces: Array<Buffer> = []
    let bytes = 0
    reply.on("data", (piece: Buffer) => {
      bytes += piece.length
      if (bytes <= maxProblemBytes) pieces.push(piece)
    })
    reply.on("end", () => settle(codeOf(status, Buffer.concat(pieces))))
  }
}
