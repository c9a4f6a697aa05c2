/**
 * Heads of answers, as text. For the common case, a success on a connection that stays open, a head is put together
 * here: `writeHead` looks at every name and value with several regular expressions, for each answer anew, which is a
 * good part of what a short answer costs. What Node adds by itself (`Date`, `Connection`, `Keep-Alive`) is taken from a
 * head that Node laid out, once a second; where that is not found as it is known, Node lays out all heads.
 */
import type { ServerResponse } from "node:http"

/**
 * Lines `Name: value`, each with its CRLF. Values are this program's own words, numbers, and ids, whose patterns leave
 * no room for the end of a line; never a caller's text.
 */
export type HeaderLines = string

const endOfLine = "\r\n"

/** Names and values in turn, as `writeHead` takes them fastest. */
export const pairsOf = (lines: HeaderLines): Array<string> =>
  lines.split(endOfLine).slice(0, -1).flatMap((line) => {
    const colon = line.indexOf(": ")
    return [line.slice(0, colon), line.slice(colon + 2)]
  })

const ok = "HTTP/1.1 200 OK\r\n"

/** A response's head as Node keeps it until the first of the body is written: a field that it documents nowhere. */
interface LaidOut {
  _header?: unknown
}

/**
 * Whether Node would keep the connection as well: it gives up one whose client waits to be told to go on (`Expect:
 * 100-continue`) and is answered instead, as nobody knows whether the body follows.
 */
const staysOpen = ({ req, shouldKeepAlive }: ServerResponse): boolean =>
  shouldKeepAlive && req.headers.expect === undefined

/** The successes of one server. */
export class Heads {
  /** What follows an answer's own lines in this second; undefined where it has to be asked of Node. */
  #rest: string | undefined
  #second = 0
  readonly #nowMs: () => number

  /** `nowMs` is the wall clock. */
  constructor(nowMs = Date.now) {
    this.#nowMs = nowMs
  }

  /** Writes the head of an answer with status 200, whose lines have a `Content-Length`. */
  writeOk(response: ServerResponse, lines: HeaderLines): void {
    const second = Math.floor(this.#nowMs() / 1000)
    if (second === this.#second && this.#rest !== undefined && staysOpen(response)) {
      ;(response as LaidOut)._header = ok + lines + this.#rest
      return
    }
    response.writeHead(200, pairsOf(lines))
    const head = (response as LaidOut)._header
    if (!response.shouldKeepAlive || typeof head !== "string" || !head.startsWith(ok + lines)) return
    this.#rest = head.slice(ok.length + lines.length)
    this.#second = second
  }
}
