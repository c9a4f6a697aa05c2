/** The listening side: the gate, SSH's server behind it, and what an authenticated peer may open. */
import { InvalidRequest, type StorageFailed } from "@distkv/core"
import { Effect } from "effect"
import { createServer, type Server as NetServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import ssh2, { type Connection, type Session } from "ssh2"
import { authenticate } from "./Authentication.ts"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"
import { Gate, type GateEvents, type GateSettings, sourceOf } from "./Gate.ts"
import { quicken } from "./PacketCipher.ts"
import { type ConnectionEvents, PeerConnection } from "./PeerConnection.ts"
import type { Log, SshCounters } from "./SshLog.ts"
import { algorithms, bulkLane, controlSubsystem, type LaneName, raftLane, sshIdent } from "./SshWire.ts"

export interface AcceptorSettings extends GateSettings {
  readonly host: string
  readonly privateKey: string
  readonly maxAuthTries: number
}

export interface AcceptorEvents {
  readonly isMember: GateEvents["isMember"]
  /** The trusted key with this wire form, by the files as they are now. */
  readonly find: (blob: Uint8Array) => AuthorizedKey | undefined
  /** What a connection reports once it is authenticated. */
  readonly connection: ConnectionEvents
  readonly connected: (connection: PeerConnection) => void
}

/** Sessions that one connection may ask for; the control lane needs one. */
const maxSessions = 4

/** A peer that announces smaller packets makes ssh2 send for ever without getting on. */
const leastPacketBytes = 1024

const isLoopback = (source: string): boolean => source.startsWith("127.") || source === "::1"

/** The size of the packets that the other side takes; ssh2 does not publish it. */
const packetBytesOf = (channel: object): number => {
  const outgoing: unknown = Reflect.get(channel, "outgoing")
  const size: unknown = typeof outgoing === "object" && outgoing !== null ? Reflect.get(outgoing, "packetSize") : null
  return typeof size === "number" ? size : 0
}

export class Acceptor {
  private readonly settings: AcceptorSettings
  private readonly events: AcceptorEvents
  private readonly counters: SshCounters
  private readonly log: Log
  private readonly gate: Gate
  private readonly ssh: ssh2.Server
  private readonly server: NetServer
  /** ssh2 names a connection by its far end only; this finds the socket again. */
  private readonly sockets = new Map<string, Socket>()

  constructor(settings: AcceptorSettings, events: AcceptorEvents, counters: SshCounters, log: Log) {
    this.settings = settings
    this.events = events
    this.counters = counters
    this.log = log
    this.ssh = new ssh2.Server({ hostKeys: [settings.privateKey], algorithms, ident: sshIdent })
    this.ssh.on("connection", (connection, info) => this.begin(connection, this.sockets.get(`${info.ip}:${info.port}`)))
    this.gate = new Gate(settings, {
      isMember: events.isMember,
      isExempt: (source) => isLoopback(source) || events.isMember(source),
      begin: (socket) => this.ssh.injectSocket(socket)
    }, counters)
    this.server = createServer({ noDelay: true }, (socket) => {
      const name = `${socket.remoteAddress}:${socket.remotePort}`
      if (this.sockets.has(name)) return void socket.destroy()
      this.sockets.set(name, socket)
      socket.once("close", () => this.sockets.delete(name))
      this.gate.arrive(socket)
    })
  }

  get unauthenticated(): number {
    return this.gate.unauthenticated
  }

  /** Listens on the first of these ports that is free, and tells which. */
  listen(ports: ReadonlyArray<number>): Effect.Effect<number, InvalidRequest | StorageFailed> {
    const [port = 0, ...others] = ports
    return Effect.callback<number, InvalidRequest>((resume) => {
      const refused = (error: NodeJS.ErrnoException) =>
        resume(Effect.fail(
          new InvalidRequest({
            message: error.code === "EADDRINUSE"
              ? `port ${port} of ${this.settings.host} is in use`
              : `cannot listen on ${this.settings.host}:${port}: ${error.message}`
          })
        ))
      this.server.once("error", refused)
      this.server.listen({ port, host: this.settings.host }, () => {
        this.server.off("error", refused)
        // A listening socket can fail later, when descriptors run out; the node goes on with what it has.
        this.server.on("error", (error) => this.log("error", `accepting connections failed: ${error.message}`))
        const address = this.server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
      })
    }).pipe(Effect.catch((error) => {
      if (others.length === 0) return Effect.fail(error)
      return Effect.suspend(() => {
        this.log("warn", `${error.message}; another port is drawn`)
        return this.listen(others)
      })
    }))
  }

  /** Stops listening, and turns out whoever is not authenticated yet. */
  close(): void {
    this.gate.close()
    this.server.close()
  }

  /** Waits until no accepted socket is left, at most this long. */
  idle(forMs: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const done = () => {
        clearTimeout(timer)
        resume(Effect.void)
      }
      const timer = setTimeout(done, forMs)
      const look = () => {
        if (this.sockets.size === 0) done()
      }
      for (const socket of this.sockets.values()) socket.once("close", () => setImmediate(look))
      look()
    })
  }

  /** Destroys every socket that is left. */
  destroy(): void {
    for (const socket of this.sockets.values()) socket.destroy()
  }

  /** SSH's first line has arrived. Everything is attached here, at once: a missing listener would end the process. */
  private begin(connection: Connection, socket: Socket | undefined): void {
    let peer: PeerConnection | null = null
    connection.on("error", (error: Error) => {
      this.log("debug", `a connection from ${socket?.remoteAddress ?? "nowhere"} failed: ${error.message}`)
      if (peer !== null) peer.destroy(error.message)
      else if (socket !== undefined) this.gate.cut(socket)
    })
    if (socket === undefined) return void connection.end()
    let proved: AuthorizedKey | null = null
    const cut = () => {
      connection.end()
      this.gate.cut(socket)
    }
    authenticate(connection, this.settings.maxAuthTries, {
      find: this.events.find,
      rejected: () => {
        this.counters.failedAuthentications++
        this.log("info", `an attempt to authenticate from ${sourceOf(socket)} was rejected`)
      },
      cut,
      proved: (key) => (proved = key)
    })
    // With an RSA key ssh2's server offers a host signature with SHA-1 too, whatever it is configured to.
    connection.on("handshake", (negotiated) => {
      if (negotiated.serverHostKey === "ssh-rsa") cut()
      quicken(connection)
    })
    // Each further exchange of keys costs milliseconds; only those whom we know may ask for them.
    connection.on("rekey", () => peer === null ? cut() : void this.counters.rekeyed++)
    connection.on("ready", () => {
      if (proved === null || peer !== null) return cut()
      this.gate.authenticated(socket)
      const end = {
        socket,
        end: () => void connection.end(),
        rekey: (done: () => void) => connection.rekey(done)
      }
      peer = new PeerConnection(end, proved, null, this.events.connection)
      this.serve(connection, peer)
      this.events.connected(peer)
    })
  }

  /** What a peer may open: each lane once. Everything that has no listener here ssh2 refuses by itself. */
  private serve(connection: Connection, peer: PeerConnection): void {
    const refuse = (reject: (() => void) | undefined, what: string) => {
      this.counters.refusedChannels++
      this.log("info", `a peer with the key ${peer.key.fingerprint} asked for ${what}, which is refused`)
      reject?.()
    }
    connection.on("tcpip", (accept, reject, info) => {
      const name = [raftLane, bulkLane].find(({ host, port }) => info.destIP === host && info.destPort === port)?.host
      if (name === undefined) return refuse(reject, "forwarding")
      if (peer.hasLane(name)) return refuse(reject, `a second ${name} lane`)
      this.use(peer, name, accept())
    })
    let sessions = 0
    connection.on("session", (accept, reject) => {
      if (++sessions > maxSessions) return refuse(reject, "too many sessions")
      const session: Session = accept()
      session.on("error", (error: Error) => this.log("debug", `a session failed: ${error.message}`))
      session.on("subsystem", (open, deny, info) => {
        if (info.name !== controlSubsystem || peer.hasLane("control")) return refuse(deny, `subsystem ${info.name}`)
        this.use(peer, "control", open())
      })
      session.on("exec", (_open, deny) => refuse(deny, "running a command"))
      session.on("shell", (_open, deny) => refuse(deny, "a shell"))
      session.on("sftp", (_open, deny) => refuse(deny, "sftp"))
    })
  }

  private use(peer: PeerConnection, name: LaneName, channel: Duplex | undefined): void {
    if (channel === undefined) return
    if (packetBytesOf(channel) >= leastPacketBytes) return peer.attach(name, channel)
    channel.on("error", () => undefined)
    peer.destroy("it takes packets of a few bytes only")
  }
}
