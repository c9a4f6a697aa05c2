/** What is sent back: built as data, written in one call. */
import type { ServerResponse } from "node:http"
import { type Problem, problemType, retryAfterSeconds } from "./Problem.ts"

/** Header names and values in turn, as `writeHead` takes them fastest. */
export type FlatHeaders = ReadonlyArray<string>

export interface Answer {
  readonly status: number
  /** The answer's own: whoever writes it adds to them. */
  readonly headers: Array<string>
  /** Null where the status has no content. */
  readonly body: string | Uint8Array | null
}

const noCache: FlatHeaders = ["Cache-Control", "no-cache"]

/** The first headers of a success with JSON text. */
export const jsonHeaders = (): Array<string> => ["Content-Type", "application/json", "Cache-Control", "no-cache"]

/** A success with JSON text. */
export const jsonAnswer = (body: string, headers: FlatHeaders): Answer => ({
  status: 200,
  headers: [...jsonHeaders(), ...headers],
  body
})

/** A failure. */
export const problemAnswer = (problem: Problem, headers: FlatHeaders = []): Answer => {
  const flat = ["Content-Type", problemType, ...noCache, ...headers]
  if (problem.retryAfterMs !== null) flat.push("Retry-After", String(retryAfterSeconds(problem.retryAfterMs)))
  if (problem.close) flat.push("Connection", "close")
  return { status: problem.status, headers: flat, body: problem.body }
}

/**
 * Bytes up to this many go out as Latin-1 text: Node writes text in one piece with the head, but bytes apart from it,
 * which costs more than everything else a small read does.
 */
const maxJoinedBytes = 16 * 1024

/** Writes an answer; the connection closes after it where `close` is set. Node leaves the body out for `HEAD`. */
export const writeAnswer = (response: ServerResponse, answer: Answer, close: boolean): void => {
  const { body, headers, status } = answer
  if (body !== null) {
    headers.push("Content-Length", String(typeof body === "string" ? Buffer.byteLength(body) : body.byteLength))
  }
  if (close && !headers.includes("Connection")) headers.push("Connection", "close")
  response.writeHead(status, headers)
  if (body === null) response.end()
  else if (typeof body === "string" || body.byteLength > maxJoinedBytes) response.end(body)
  else response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1")
}
