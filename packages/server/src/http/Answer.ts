/** What is sent back: built as data, written in one call. */
import type { ServerResponse } from "node:http"
import { type HeaderLines, type Heads, pairsOf } from "./Head.ts"
import { type Problem, problemType, retryAfterSeconds } from "./Problem.ts"

export interface Answer {
  readonly status: number
  readonly headers: HeaderLines
  /** Null where the status has no content. */
  readonly body: string | Uint8Array | null
}

const closing: HeaderLines = "Connection: close\r\n"

/** Every answer may be kept, but has to be asked for again before it is used. */
export const noCache: HeaderLines = "Cache-Control: no-cache\r\n"

/** The first headers of a success with JSON text. */
export const jsonHeaders: HeaderLines = `Content-Type: application/json\r\n${noCache}`

/** A success with JSON text. */
export const jsonAnswer = (body: string, headers: HeaderLines): Answer => ({
  status: 200,
  headers: jsonHeaders + headers,
  body
})

/** A failure. */
export const problemAnswer = (problem: Problem, headers: HeaderLines = ""): Answer => {
  const { body, close, retryAfterMs, status } = problem
  const retry = retryAfterMs === null ? "" : `Retry-After: ${retryAfterSeconds(retryAfterMs)}\r\n`
  const lines = `Content-Type: ${problemType}\r\n${noCache}${headers}${retry}${close ? closing : ""}`
  return { status, headers: lines, body }
}

/**
 * Bytes up to this many go out as Latin-1 text: Node writes text in one piece with the head, but bytes apart from it,
 * which costs more than everything else a small read does.
 */
const maxJoinedBytes = 16 * 1024

/**
 * Writes an answer; the connection closes after it where `close` is set. Node leaves the body out for `HEAD`. With
 * `heads`, those of the response's server, the head of a success costs less.
 */
export const writeAnswer = (response: ServerResponse, answer: Answer, close: boolean, heads?: Heads): void => {
  const { body, headers, status } = answer
  const lines = body === null
    ? headers
    : `${headers}Content-Length: ${typeof body === "string" ? Buffer.byteLength(body) : body.byteLength}\r\n`
  if (heads !== undefined && status === 200 && body !== null && !close) heads.writeOk(response, lines)
  else response.writeHead(status, pairsOf(close && !lines.includes(closing) ? lines + closing : lines))
  if (body === null) response.end()
  else if (typeof body === "string" || body.byteLength > maxJoinedBytes) response.end(body)
  else response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1")
}
