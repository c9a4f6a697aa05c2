/**
 * The transport between nodes over SSH: public keys on both sides, one connection per pair, raft traffic and control
 * requests on lanes of their own. `docs/ARCHITECTURE.md` says how; the laws are those of the `Transport` port.
 */
import {
  type Address,
  type AdminCommand,
  type AdminResult,
  type Envelope,
  findMember,
  type Identity,
  InvalidRequest,
  type NodeId,
  type NoLeader,
  type OpenTransport,
  type StartError,
  StorageFailed,
  Transport
} from "@distkv/core"
import { Context, Effect, Layer, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { Acceptor } from "./Acceptor.ts"
import { type AuthorizedKey, fingerprintOf } from "./AuthorizedKeys.ts"
import { call } from "./Caller.ts"
import { dial } from "./Dialer.ts"
import { encryption } from "./Encryption.ts"
import { prepare } from "./Keys.ts"
import { Links } from "./Links.ts"
import type { OwnKey } from "./OwnKey.ts"
import { type Log, SshCounters } from "./SshLog.ts"
import {
  formatHostPort,
  type HostPort,
  parseHostPort,
  resolveSettings,
  type SshSettings,
  type SshTransportOptions
} from "./SshSettings.ts"
import { TrustedKeys } from "./TrustedKeys.ts"

export type { SshTransportOptions, Trust } from "./SshSettings.ts"

/** What happened at the door and on the links; plain numbers, read at once. */
export interface SshStats extends Readonly<SshCounters> {
  /** Connections that are not authenticated at the moment. */
  readonly unauthenticated: number
  /** Connections that are, dialled and accepted ones, calls included. */
  readonly connections: number
}

/** How long connections may take to say goodbye when the transport closes, in milliseconds. */
const farewellMs = 600
/** A key that seems to be revoked is looked for once more after this long before connections are cut. */
const recheckMs = 200

interface Parts {
  readonly settings: SshSettings
  readonly key: OwnKey
  readonly trusted: TrustedKeys
  readonly counters: SshCounters
  readonly log: Log
  /** Whom a change of the trusted keys concerns: the open transports of this layer, normally one. */
  readonly open: Set<{ readonly links: Links; readonly acceptor: Acceptor }>
}

export class SshTransport extends Context.Service<SshTransport, {
  /** Reads the files of trusted keys anew, at once; what SIGHUP is for. Connections of revoked keys are cut. */
  readonly reload: Effect.Effect<void>
  readonly stats: () => SshStats
}>()("@distkv/transport-ssh/SshTransport") {
  /**
   * Makes the keys where there are none, reads the trusted ones, and listens once the node opens the transport.
   * `InvalidRequest`: settings, or a key that cannot be used. `StorageFailed`: the directory cannot be read or written.
   */
  static readonly layer = (
    options: SshTransportOptions
  ): Layer.Layer<Transport | SshTransport, StartError> => Layer.effectContext(make(options))
}

const make = Effect.fnUntraced(function*(
  options: SshTransportOptions
): Effect.fn.Return<Context.Context<Transport | SshTransport>, StartError, Scope.Scope> {
  const settings = yield* resolveSettings(options)
  const run = Effect.runForkWith(yield* Effect.context())
  const log: Log = (level, message) => void run(writers[level](message))
  const { created, key } = yield* prepare(settings.dataDir, options)
  const trusted = new TrustedKeys(settings.dataDir, log)
  trusted.refresh(true)
  if (trusted.unreadable !== null) {
    return yield* new StorageFailed({ message: `${trusted.unreadable} cannot be read, so nobody could be trusted` })
  }
  if (created) {
    log("info", `made the key ${key.file}; other nodes trust this node once ${trusted.path} there has: ${key.line}`)
  }
  const parts: Parts = { settings, key, trusted, counters: new SshCounters(), log, open: new Set() }
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(settings.keyPollMs), lookAtKeys(parts, false))))
  const transport = Transport.of({
    publicKey: key.publicKey,
    open: (identity, receive) => openTransport(parts, identity, receive)
  })
  const ssh = SshTransport.of({
    reload: lookAtKeys(parts, true),
    stats: () => {
      const open = [...parts.open]
      return {
        ...parts.counters,
        unauthenticated: open.reduce((sum, { acceptor }) => sum + acceptor.unauthenticated, 0),
        connections: open.reduce((sum, { links }) => sum + links.connectionCount, 0)
      }
    }
  })
  return Context.make(Transport, transport).pipe(Context.add(SshTransport, ssh))
})

const writers = {
  debug: Effect.logDebug,
  info: Effect.logInfo,
  warn: Effect.logWarning,
  error: Effect.logError
} as const

/** Reads what changed; cuts the connections of keys that are still gone at a second look. */
const lookAtKeys = Effect.fnUntraced(function*(parts: Parts, always: boolean): Effect.fn.Return<void> {
  parts.trusted.refresh(always)
  if (!parts.trusted.takeChange() && !always) return
  yield* Effect.sleep(recheckMs)
  parts.trusted.refresh(true)
  for (const { links } of parts.open) links.recheckTrust()
})

/** The trusted key that a host shows, or what is wrong with it. */
const verifyHost = (parts: Parts, blob: Buffer): AuthorizedKey | string => {
  parts.trusted.refresh()
  const key = parts.trusted.find(blob)
  if (key?.publicKey === parts.key.publicKey) return "it is this node itself, or one that has a copy of its key"
  return key ?? `it shows the key ${fingerprintOf(blob)}, which is not in ${parts.trusted.path} of this node` +
      (parts.settings.trust === "members" ? ", and no member's" : "")
}

const openTransport = Effect.fnUntraced(function*(
  parts: Parts,
  identity: Identity,
  receive: (envelope: Envelope) => void
): Effect.fn.Return<OpenTransport, StartError, Scope.Scope> {
  const { counters, key, log, settings, trusted } = parts
  const { clusterId, incarnation, nodeId } = identity
  const own = { nodeId, incarnation, clusterId, publicKey: key.publicKey }
  const run = randomBytes(8).toString("hex")
  const links: Links = new Links(
    settings,
    own,
    run,
    trusted,
    receive,
    (id, done) => reach(parts, links, id, done),
    counters,
    log
  )
  const acceptor = new Acceptor(
    { ...settings, privateKey: key.privateKey },
    {
      isMember: (source) => links.isMember(source),
      find: (blob) => {
        trusted.refresh()
        return trusted.find(blob)
      },
      connection: links.events,
      connected: (connection) => links.adopt(connection)
    },
    counters,
    log
  )
  const entry = { links, acceptor }
  yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(() => parts.open.delete(entry)), close(entry)))
  const wish = settings.port === 0 && identity.raftPort !== null ? [identity.raftPort, 0] : [settings.port]
  const port = yield* acceptor.listen(wish)
  parts.open.add(entry)
  log("info", `listens for nodes on port ${port}, SSH in ${encryption === "native" ? "native code" : encryption}`)
  yield* Effect.forkScoped(
    Effect.forever(Effect.andThen(Effect.sleep(settings.heartbeatMs / 2), Effect.sync(() => links.tick())))
  )
  const wanted: HostPort = settings.advertise ?? { host: settings.host, port }
  return {
    address: formatHostPort(wanted.port === 0 ? { ...wanted, port } : wanted) as Address,
    send: (to, message) => links.send(to, message),
    flush: () => links.flush(),
    setMembership: (membership, committed) => links.setMembership(membership, committed),
    introduce: (introduction) => links.introduce(introduction),
    introductions: () => links.introductions(),
    setClusterId: (id) => links.setClusterId(id),
    links: () => links.links(),
    traffic: () => links.traffic(),
    features: (id) => links.features(id),
    call: (address, command, remainingMs) => ask(parts, links, address, command, remainingMs)
  }
})

/** Asks the node at a bare address. */
const ask = (
  parts: Parts,
  links: Links,
  address: Address,
  command: AdminCommand,
  remainingMs: number
): Effect.Effect<AdminResult, NoLeader | InvalidRequest> => {
  const target = parseHostPort(address)
  if (target === null) {
    return Effect.fail(new InvalidRequest({ message: `${JSON.stringify(address)} is not of the form host:port` }))
  }
  return call({
    address,
    target,
    command,
    remainingMs,
    privateKey: parts.key.privateKey,
    ownLine: parts.key.line,
    verify: (blob) => verifyHost(parts, blob),
    events: links.events,
    adopt: (connection) => links.adopt(connection)
  })
}

/** Dials a member at the address that the membership has for it, accepting no other key than its own. */
const reach = (parts: Parts, links: Links, id: NodeId, done: (reached: boolean) => void): () => void => {
  const member = findMember(links.membership, id)
  const target = member === undefined ? null : parseHostPort(member.address)
  const failed = (reason: string) => {
    links.unreached(id, reason)
    done(false)
  }
  const failSoon = (reason: string) => {
    const timer = setTimeout(() => failed(reason), 0)
    return () => clearTimeout(timer)
  }
  if (member === undefined || target === null) return failSoon("it has no address of the form host:port")
  parts.trusted.refresh()
  if (!parts.trusted.has(member.publicKey)) {
    return failSoon(
      `its key is not in ${parts.trusted.path} of this node; this line belongs there: ${member.publicKey}`
    )
  }
  return dial({
    target,
    privateKey: parts.key.privateKey,
    ownLine: parts.key.line,
    purpose: "link",
    connectTimeoutMs: Math.max(250, parts.settings.electionTimeoutMs),
    timeoutMs: Math.max(2000, 2 * parts.settings.electionTimeoutMs),
    verify: (blob) => {
      const key = verifyHost(parts, blob)
      return typeof key === "string" || key.publicKey === member.publicKey
        ? key
        : `it shows the key ${key.fingerprint}, which is not the key of ${id}`
    },
    events: links.events,
    connected: (connection) => {
      done(true)
      links.adopt(connection)
    },
    failed
  })
}

/** Says goodbye on every connection, waits a moment for it to arrive, and leaves no socket behind. */
const close = Effect.fnUntraced(function*(
  { acceptor, links }: { readonly links: Links; readonly acceptor: Acceptor }
): Effect.fn.Return<void> {
  acceptor.close()
  links.close()
  yield* acceptor.idle(farewellMs)
  acceptor.destroy()
})
