/**
 * Who may call while there are no credentials: whoever can open a connection to the loopback address, except web pages.
 *
 * A page in the operator's browser reaches the loopback address too: under a name of its own that it resolves there
 * (then `Host` is foreign), or across origins (then `Origin` or `Sec-Fetch-Site` says so).
 */
import { Forbidden, InvalidRequest } from "@distkv/core"
import type { IncomingMessage } from "node:http"

/** Whether this host name or address can only mean this machine. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || host === "::1" ||
  /^127\.(?:[0-9]{1,3})\.(?:[0-9]{1,3})\.(?:[0-9]{1,3})$/.test(host)

/** The host of `host[:port]`, in lower case; undefined where the text has another form. */
const hostOf = (authority: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?$/.exec(authority.toLowerCase())?.[1]

const maxRemembered = 256

/** Refuses requests of web pages; remembers the few hosts that callers name, as it runs once per request. */
export class Callers {
  readonly #known = new Map<string, boolean>()
  readonly #own: string

  /** `own` is the address that the server is bound to. */
  constructor(own: string) {
    this.#own = own.includes(":") ? `[${own}]` : own.toLowerCase()
  }

  #isOurs(authority: string): boolean {
    const known = this.#known.get(authority)
    if (known !== undefined) return known
    const host = hostOf(authority)
    const ours = host !== undefined && (isLoopback(host) || host === this.#own)
    if (this.#known.size < maxRemembered) this.#known.set(authority, ours)
    return ours
  }

  /** Why this request is refused, or undefined; `authority` is that of an absolute request target. */
  refusal(request: IncomingMessage, authority: string | null): Forbidden | InvalidRequest | undefined {
    const headers = request.headers
    const host = headers.host
    if (host === undefined || host === "") return new InvalidRequest({ message: "the Host header is missing" })
    if (countHosts(request.rawHeaders) > 1) return new InvalidRequest({ message: "more than one Host header" })
    if (!this.#isOurs(host) || (authority !== null && !this.#isOurs(authority))) {
      return new Forbidden({ message: "the Host is neither a loopback name nor this node's own address" })
    }
    const origin = headers.origin
    if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
      return new Forbidden({ message: "requests from another origin are refused" })
    }
    if (headers["sec-fetch-site"] === "cross-site") {
      return new Forbidden({ message: "cross-site requests are refused" })
    }
    return undefined
  }
}

/** Node keeps the first of several `Host` headers and drops the rest, so they are counted where none is dropped. */
const countHosts = (rawHeaders: ReadonlyArray<string>): number => {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ""
    if (name.length === 4 && name.toLowerCase() === "host") count++
  }
  return count
}
