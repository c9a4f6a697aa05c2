/** Reads a request's body with its limit enforced before anything over it is buffered. */
import { InvalidRequest, Overloaded } from "@distkv/core"
import type { IncomingMessage } from "node:http"

/** Bytes of bodies that are being received by all requests together. */
export class BodyBudget {
  readonly limit: number
  #used = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes `bytes`; false, taking nothing, where they do not fit. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.limit) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }

  get used(): number {
    return this.#used
  }
}

/** The declared length, or undefined where the body comes in chunks; Node has checked that it is a number. */
export const declaredLength = (request: IncomingMessage): number | undefined => {
  const text = request.headers["content-length"]
  return text === undefined ? undefined : Number(text)
}

const overLimit = (limit: number) =>
  new InvalidRequest({ message: `the body is larger than ${limit} bytes`, tooLarge: true })

/** Why a body that declares its length is refused unread, or undefined. */
export const refuseDeclared = (request: IncomingMessage, limit: number): InvalidRequest | undefined => {
  const length = declaredLength(request)
  return length !== undefined && length > limit ? overLimit(limit) : undefined
}

/** A refused body is still read, and dropped, up to this many bytes, so that the connection can be used again. */
export const maxDroppedBytes = 8 * 1024 * 1024

/** Drops what is left of a body; a sender that goes on for too long is cut off. */
export const dropBody = (request: IncomingMessage): void => {
  let dropped = 0
  request.on("data", (chunk: Buffer) => {
    dropped += chunk.length
    if (dropped > maxDroppedBytes) request.destroy()
  })
  request.resume()
}

/**
 * Calls `onBody` once with the whole body, or `onFailure` once when it grows over a limit. The function returned
 * abandons what was read so far; it must be called when the exchange ends, since Node tells nothing to a request whose
 * answer was sent before its body was complete.
 */
export const readBody = (
  request: IncomingMessage,
  limit: number,
  budget: BodyBudget,
  onBody: (body: Buffer) => void,
  onFailure: (failure: InvalidRequest | Overloaded) => void
): () => void => {
  let chunks: Array<Buffer> = []
  let length = 0
  let open = true
  const release = () => {
    if (!open) return
    open = false
    budget.give(length)
    chunks = []
  }
  const refuse = (failure: InvalidRequest | Overloaded) => {
    release()
    dropBody(request)
    onFailure(failure)
  }
  request.on("data", (chunk: Buffer) => {
    if (!open) return
    if (length + chunk.length > limit) return refuse(overLimit(limit))
    if (!budget.take(chunk.length)) {
      return refuse(new Overloaded({ message: "too many bodies are being received at once", retryAfterMs: 1000 }))
    }
    length += chunk.length
    chunks.push(chunk)
  })
  request.on("end", () => {
    if (!open) return
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length)
    release()
    onBody(body)
  })
  return release
}
