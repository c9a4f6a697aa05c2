/** How one node listens for its peers and how it guards that door; a default for everything but the directory. */
import { InvalidRequest } from "@distkv/core"
import { Duration, Effect, Option } from "effect"
import * as net from "node:net"
import type { NewKeyType } from "./OwnKey.ts"

/** Whose keys a node accepts: those in its files of trusted keys, or those of committed members too. */
export type Trust = "file" | "members"

/** What a caller writes. */
export interface SshTransportOptions {
  /** Where the node's keys are, or are made at its first start. */
  readonly dataDir: string
  /** The interface to listen on; default `127.0.0.1`. A wildcard needs `advertise`. */
  readonly host?: string | undefined
  /** The port to listen on; default 0, which draws one and then keeps it. */
  readonly port?: number | undefined
  /** `host:port` under which others reach this node, where that differs; port 0 stands for the one listened on. */
  readonly advertise?: string | undefined
  /** The type of a key that has to be made; default `ed25519`. */
  readonly keyType?: NewKeyType | undefined
  /** The comment of a key that has to be made. */
  readonly comment?: string | undefined
  /** A silent peer is given up after this long; default 1 s. The same as in the node's settings. */
  readonly electionTimeout?: Duration.Input | undefined
  /** Each side of a link says something at least this often; default 100 ms. The same as in the node's settings. */
  readonly heartbeat?: Duration.Input | undefined
  /** Bytes waiting for one peer, beyond which messages are dropped; default 16 MiB. */
  readonly sendBufferBytes?: number | undefined
  /** How long a connection may take until it is authenticated and has said who it is; default 10 s. */
  readonly loginGrace?: Duration.Input | undefined
  /** Connections that may be unauthenticated at once; default 64. */
  readonly maxUnauthenticated?: number | undefined
  /** The same from one source address; default 16. */
  readonly maxUnauthenticatedPerSource?: number | undefined
  /** Rejected attempts to authenticate after which a connection is cut; default 3. */
  readonly maxAuthTries?: number | undefined
  /** Key exchanges begun per second; more wait. Default 20. */
  readonly handshakesPerSecond?: number | undefined
  /** How long a source that failed to authenticate is turned away; default 15 s. */
  readonly penalty?: Duration.Input | undefined
  /** Connections get new session keys this often; default 1 hour. */
  readonly rekeyAfter?: Duration.Input | undefined
  /** … and after this many bytes; default 32 GiB. */
  readonly rekeyBytes?: number | undefined
  /** How often the files of trusted keys are looked at, beside every authentication; default 500 ms. */
  readonly keyPollInterval?: Duration.Input | undefined
  /** Whose keys are accepted; default `file`. */
  readonly trust?: Trust | undefined
}

/** The same with its defaults, times in milliseconds. */
export interface SshSettings {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  readonly advertise: HostPort | null
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  readonly sendBufferBytes: number
  readonly loginGraceMs: number
  readonly maxUnauthenticated: number
  readonly maxUnauthenticatedPerSource: number
  readonly maxAuthTries: number
  readonly handshakesPerSecond: number
  readonly penaltyMs: number
  readonly rekeyAfterMs: number
  readonly rekeyBytes: number
  readonly keyPollMs: number
  readonly trust: Trust
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Takes `host:port` or `[v6]:port` apart; null when it is neither. */
export const parseHostPort = (address: string): HostPort | null => {
  const match = /^(?:\[([^\]\s]+)\]|([^\s:]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) return null
  return match?.[1] !== undefined && net.isIP(host) !== 6 ? null : { host, port }
}

/** Puts host and port together again. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

const isWildcard = (host: string): boolean => ["", "*", "0.0.0.0", "::", "0:0:0:0:0:0:0:0"].includes(host)

const isCount = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least

const flawOf = (settings: SshSettings): string | null => {
  if (settings.dataDir === "") return "a data directory is needed"
  if (!isCount(settings.port, 0) || settings.port > 65_535) return `${settings.port} is not a port`
  if (isWildcard(settings.host) && settings.advertise === null) {
    return `listening on every interface (${settings.host}) needs the address under which others reach this node ` +
      "(advertise)"
  }
  if (settings.advertise !== null && isWildcard(settings.advertise.host)) return "a wildcard cannot be advertised"
  if (!(settings.heartbeatMs >= 1)) return "the heartbeat is at least 1 ms"
  if (!(settings.electionTimeoutMs >= 3 * settings.heartbeatMs)) {
    return "the election time-out is at least three heartbeats, or one lost packet cuts a link"
  }
  const counts = {
    sendBufferBytes: [settings.sendBufferBytes, 8 * 1024 * 1024],
    loginGrace: [settings.loginGraceMs, 1],
    maxUnauthenticated: [settings.maxUnauthenticated, 1],
    maxUnauthenticatedPerSource: [settings.maxUnauthenticatedPerSource, 1],
    maxAuthTries: [settings.maxAuthTries, 1],
    handshakesPerSecond: [settings.handshakesPerSecond, 1],
    penalty: [settings.penaltyMs, 0],
    rekeyAfter: [settings.rekeyAfterMs, 1],
    rekeyBytes: [settings.rekeyBytes, 1024 * 1024],
    keyPollInterval: [settings.keyPollMs, 1]
  } as const
  for (const [name, [value, least]] of Object.entries(counts)) {
    if (!isCount(value, least)) return `${name} is a whole number of at least ${least}`
  }
  return null
}

/** Fills in the defaults and checks everything, across fields too. */
export const resolveSettings = Effect.fnUntraced(function*(
  options: SshTransportOptions
): Effect.fn.Return<SshSettings, InvalidRequest> {
  // What is no duration becomes no number, which the checks below refuse.
  const millis = (input: Duration.Input | undefined, fallback: number) =>
    input === undefined
      ? fallback
      : Option.match(Duration.fromInput(input), {
        onNone: () => Number.NaN,
        onSome: (duration) => Math.round(Duration.toMillis(duration))
      })
  const advertise = options.advertise === undefined ? null : parseHostPort(options.advertise)
  if (options.advertise !== undefined && advertise === null) {
    return yield* new InvalidRequest({ message: `${JSON.stringify(options.advertise)} is not of the form host:port` })
  }
  const settings: SshSettings = {
    dataDir: options.dataDir,
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    advertise,
    electionTimeoutMs: millis(options.electionTimeout, 1000),
    heartbeatMs: millis(options.heartbeat, 100),
    sendBufferBytes: options.sendBufferBytes ?? 16 * 1024 * 1024,
    loginGraceMs: millis(options.loginGrace, 10_000),
    maxUnauthenticated: options.maxUnauthenticated ?? 64,
    maxUnauthenticatedPerSource: options.maxUnauthenticatedPerSource ?? 16,
    maxAuthTries: options.maxAuthTries ?? 3,
    handshakesPerSecond: options.handshakesPerSecond ?? 20,
    penaltyMs: millis(options.penalty, 15_000),
    rekeyAfterMs: millis(options.rekeyAfter, 3_600_000),
    rekeyBytes: options.rekeyBytes ?? 32 * 1024 ** 3,
    keyPollMs: millis(options.keyPollInterval, 500),
    trust: options.trust ?? "file"
  }
  const flaw = flawOf(settings)
  return flaw === null ? settings : yield* new InvalidRequest({ message: flaw })
})
