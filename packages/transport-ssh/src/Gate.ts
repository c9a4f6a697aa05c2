/**
 * The door before authentication: how many strangers may stand in it, for how long, and how fast they are let on.
 *
 * Sockets are counted and timed here before SSH sees a byte of theirs, because a key exchange costs milliseconds of the
 * thread that also sends heartbeats. Members' addresses keep a share of the places, so that a crowd of strangers does
 * not lock them out, and go first when key exchanges have to wait.
 */
import type { Socket } from "node:net"
import type { SshCounters } from "./SshLog.ts"

export interface GateSettings {
  readonly loginGraceMs: number
  readonly maxUnauthenticated: number
  readonly maxUnauthenticatedPerSource: number
  readonly handshakesPerSecond: number
  readonly penaltyMs: number
}

export interface GateEvents {
  /** Whether a member has this address. */
  readonly isMember: (source: string) => boolean
  /** Whether a failure from this address is never held against it. */
  readonly isExempt: (source: string) => boolean
  /** A socket's turn has come: SSH may begin. */
  readonly begin: (socket: Socket) => void
}

/** Sources under a penalty that are remembered; the oldest is forgotten beyond it. */
const maxPenalties = 4096

/** Bytes that a stranger may send; an honest handshake needs less than a tenth. */
const maxStrangerBytes = 128 * 1024

interface Stranger {
  readonly source: string
  readonly timer: NodeJS.Timeout
  readonly count: (chunk: Buffer) => void
}

/** The one form of an address that IPv4 peers have on IPv4 and IPv6 sockets alike. */
export const sourceOf = (socket: Socket): string => (socket.remoteAddress ?? "unknown").replace(/^::ffff:/, "")

export class Gate {
  private readonly settings: GateSettings
  private readonly events: GateEvents
  private readonly counters: SshCounters
  private readonly strangers = new Map<Socket, Stranger>()
  private readonly penalties = new Map<string, number>()
  private readonly waiting: Array<Socket> = []
  private tokens: number
  private filledAt: number
  private wake: NodeJS.Timeout | null = null

  constructor(settings: GateSettings, events: GateEvents, counters: SshCounters) {
    this.settings = settings
    this.events = events
    this.counters = counters
    this.tokens = settings.handshakesPerSecond
    this.filledAt = performance.now()
  }

  /** Connections that are not authenticated at the moment. */
  get unauthenticated(): number {
    return this.strangers.size
  }

  /** Takes in a fresh connection, or destroys it. */
  arrive(socket: Socket): void {
    // SSH attaches its own listener later; until then an error would end the process.
    socket.on("error", () => undefined)
    this.counters.accepted++
    const source = sourceOf(socket)
    if (!this.hasRoom(source)) {
      this.counters.turnedAway++
      socket.destroy()
      return
    }
    let bytes = 0
    const stranger: Stranger = {
      source,
      timer: setTimeout(() => {
        this.counters.graceEnded++
        this.cut(socket)
      }, this.settings.loginGraceMs),
      count: (chunk) => {
        bytes += chunk.length
        if (bytes > maxStrangerBytes) this.cut(socket)
      }
    }
    this.strangers.set(socket, stranger)
    socket.once("close", () => this.forget(socket))
    if (this.events.isMember(source)) this.waiting.unshift(socket)
    else this.waiting.push(socket)
    this.proceed()
    if (this.waiting.includes(socket)) this.counters.delayedHandshakes++
  }

  /** The connection has proved its key and counts no more here. */
  authenticated(socket: Socket): void {
    this.forget(socket)
  }

  /** Ends a stranger's connection, and holds it against its source. */
  cut(socket: Socket): void {
    const stranger = this.strangers.get(socket)
    if (stranger !== undefined) {
      this.counters.cutStrangers++
      this.penalise(stranger.source)
    }
    this.forget(socket)
    // What was just said to it may still go out; then, or after a second, the socket is gone.
    socket.destroySoon()
    setTimeout(() => socket.destroy(), 1000).unref()
  }

  /** Ends everything; nothing comes after it. */
  close(): void {
    if (this.wake !== null) clearTimeout(this.wake)
    for (const socket of [...this.strangers.keys()]) {
      this.forget(socket)
      socket.destroy()
    }
  }

  private hasRoom(source: string): boolean {
    const { maxUnauthenticated, maxUnauthenticatedPerSource } = this.settings
    if (this.events.isMember(source)) return this.strangers.size < maxUnauthenticated
    const until = this.penalties.get(source) ?? 0
    if (until > performance.now()) return false
    if (until !== 0) this.penalties.delete(source)
    let same = 0
    for (const stranger of this.strangers.values()) if (stranger.source === source) same++
    // A quarter of the places is kept for members.
    return same < maxUnauthenticatedPerSource && this.strangers.size < Math.ceil(maxUnauthenticated * 0.75)
  }

  private penalise(source: string): void {
    if (this.settings.penaltyMs === 0 || this.events.isExempt(source)) return
    this.penalties.delete(source)
    this.penalties.set(source, performance.now() + this.settings.penaltyMs)
    const [oldest] = this.penalties.keys()
    if (this.penalties.size > maxPenalties && oldest !== undefined) this.penalties.delete(oldest)
  }

  private forget(socket: Socket): void {
    const stranger = this.strangers.get(socket)
    if (stranger === undefined) return
    clearTimeout(stranger.timer)
    socket.off("data", stranger.count)
    this.strangers.delete(socket)
    const place = this.waiting.indexOf(socket)
    if (place >= 0) this.waiting.splice(place, 1)
  }

  /** Lets on as many as the rate of key exchanges allows, and comes back for the rest. */
  private proceed(): void {
    const { handshakesPerSecond } = this.settings
    const now = performance.now()
    this.tokens = Math.min(handshakesPerSecond, this.tokens + (now - this.filledAt) / 1000 * handshakesPerSecond)
    this.filledAt = now
    while (this.tokens >= 1 && this.waiting.length > 0) {
      this.tokens -= 1
      const socket = this.waiting.shift()
      const stranger = socket === undefined ? undefined : this.strangers.get(socket)
      if (socket === undefined || stranger === undefined) continue
      socket.on("data", stranger.count)
      this.events.begin(socket)
    }
    if (this.waiting.length === 0 || this.wake !== null) return
    this.wake = setTimeout(() => {
      this.wake = null
      this.proceed()
    }, Math.ceil((1 - this.tokens) / handshakesPerSecond * 1000))
  }
}
