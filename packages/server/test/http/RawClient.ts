/** A TCP client that sends exact bytes, since every HTTP client normalises what it sends. */
import { Effect, type Scope } from "effect"
import { connect, type Socket } from "node:net"

export interface RawReply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** One connection; `text` collects all that arrived as Latin-1. */
export class RawConnection {
  readonly socket: Socket
  text = ""
  closed = false
  #waiting: Array<() => void> = []

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true })
    this.socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1")
      this.#wake()
    })
    this.socket.on("error", () => undefined)
    this.socket.on("close", () => {
      this.closed = true
      this.#wake()
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Waits until `holds`, looking again whenever something arrives or the connection closes. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const attempt = () => {
        const found = look()
        if (found !== undefined) resume(Effect.succeed(found))
        else if (this.closed) resume(Effect.die(new Error(`closed after ${JSON.stringify(this.text.slice(0, 500))}`)))
        else this.#waiting.push(attempt)
      }
      attempt()
    })
  }

  readonly send = (bytes: string | Uint8Array): Effect.Effect<void> =>
    Effect.sync(() => {
      if (typeof bytes === "string") this.socket.write(bytes, "latin1")
      else this.socket.write(bytes)
    })

  /** The next whole reply; `head` where the request was HEAD, whose reply has no body. */
  readonly reply = (head = false): Effect.Effect<RawReply> => this.until(() => this.#take(head))

  readonly end: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.closed) return resume(Effect.void)
    this.socket.once("close", () => resume(Effect.void))
  })

  #take(head: boolean): RawReply | undefined {
    const end = this.text.indexOf("\r\n\r\n")
    if (end < 0) return undefined
    const [line = "", ...fields] = this.text.slice(0, end).split("\r\n")
    const status = Number(line.split(" ")[1])
    const headers = new Map(fields.map((field) => {
      const colon = field.indexOf(":")
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
    }))
    const length = head || status === 304 || status < 200 ? 0 : Number(headers.get("content-length") ?? 0)
    const from = end + 4
    if (this.text.length < from + length) return undefined
    const body = this.text.slice(from, from + length)
    this.text = this.text.slice(from + length)
    return { status, headers, body }
  }
}

export const open = (port: number): Effect.Effect<RawConnection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new RawConnection(port)),
    (connection) => Effect.sync(() => connection.socket.destroy())
  )

/** Sends one request with these exact lines and bytes, and gives its reply. */
export const exchange = (
  port: number,
  line: string,
  headers: ReadonlyArray<string> = [],
  body: string | Uint8Array = ""
): Effect.Effect<RawReply> =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* open(port)
    const length = body.length > 0 ? [`Content-Length: ${body.length}`] : []
    const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: 127.0.0.1:${port}`]
    yield* connection.send([`${line} HTTP/1.1`, ...host, ...length, ...headers].join("\r\n") + "\r\n\r\n")
    yield* connection.send(body)
    return yield* connection.reply(line.startsWith("HEAD "))
  }))

/** A request's head, as it is sent. */
export const head = (line: string, headers: ReadonlyArray<string>): string =>
  [`${line} HTTP/1.1`, "Host: localhost", ...headers].join("\r\n") + "\r\n\r\n"

/** One chunk of a body without a length. */
export const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n`
