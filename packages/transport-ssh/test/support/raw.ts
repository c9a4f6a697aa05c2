/** Peers and strangers that speak SSH, or less, without the transport's own code around them. */
import type { Address, PublicKey } from "@distkv/core"
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { connect, createServer, type Server, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import ssh2, { type ClientChannel, type ConnectConfig } from "ssh2"
import { publicKeyOf } from "../../src/AuthorizedKeys.ts"
import { encodeHello, type Hello } from "../../src/Hello.ts"
import { makeEd25519 } from "../../src/OpenSshKey.ts"
import { algorithms, controlSubsystem, frameKind, raftLane, sshUser } from "../../src/SshWire.ts"

export const portOf = (address: Address | string): number => Number(address.split(":").at(-1))

/** A key of nobody, or of a peer that a test plays. */
export interface TestKey {
  readonly pem: string
  readonly publicKey: PublicKey
}

export const keyFrom = (pem: string): TestKey => {
  const parsed = ssh2.utils.parseKey(pem)
  if (parsed instanceof Error) throw parsed
  return { pem, publicKey: publicKeyOf(parsed.type, parsed.getPublicSSH()) }
}

export const makeKey = (): TestKey => keyFrom(makeEd25519("test"))

/** A TCP connection that goes with the scope; `closed` turns true when the other side is gone. */
export const plainSocket = Effect.fnUntraced(function*(
  port: number
): Effect.fn.Return<{ readonly socket: Socket; readonly closed: () => boolean }, never, Scope.Scope> {
  let closed = false
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => connect({ port, host: "127.0.0.1" })),
    (one) => Effect.sync(() => one.destroy())
  )
  socket.on("error", () => undefined)
  socket.on("close", () => (closed = true))
  socket.resume()
  return { socket, closed: () => closed }
})

export interface Knocker {
  readonly client: ssh2.Client
  readonly socket: Socket
  /** Whether the key was accepted. */
  readonly ready: () => boolean
  /** Whether the connection is over. */
  readonly closed: () => boolean
  /** What went wrong, as ssh2 says it. */
  readonly errors: ReadonlyArray<string>
}

/** Begins an SSH connection and lets it go where it goes. */
export const knock = Effect.fnUntraced(function*(
  port: number,
  config: ConnectConfig
): Effect.fn.Return<Knocker, never, Scope.Scope> {
  const { socket } = yield* plainSocket(port)
  socket.setNoDelay(true)
  const client = new ssh2.Client()
  const errors: Array<string> = []
  let ready = false
  let closed = false
  client.on("ready", () => (ready = true))
  client.on("error", (error) => errors.push(error.message))
  client.on("close", () => (closed = true))
  client.connect({ sock: socket, username: sshUser, algorithms, readyTimeout: 0, hostVerifier: () => true, ...config })
  return { client, socket, ready: () => ready, closed: () => closed, errors }
})

/** Knocks until the key is accepted; dies when it is not. */
export const enter = Effect.fnUntraced(function*(port: number, key: TestKey) {
  const knocker = yield* knock(port, { privateKey: key.pem, authHandler: ["publickey"] })
  yield* settled(() => knocker.ready() || knocker.closed())
  return knocker.ready() ? knocker : yield* Effect.die(`refused: ${knocker.errors.join(", ")}`)
})

/** Has a client say what ssh2 offers no public way to say. */
export const sayInProtocol = (client: ssh2.Client, method: string, ...args: ReadonlyArray<unknown>): void => {
  const protocol: unknown = Reflect.get(client, "_protocol")
  const say: unknown = typeof protocol === "object" && protocol !== null ? Reflect.get(protocol, method) : undefined
  if (typeof say !== "function") throw new Error(`ssh2's protocol has no ${method}`)
  Reflect.apply(say, protocol, args)
}

/** Waits for a condition, for at most ten seconds; a test then asserts on what it finds. */
export const settled = Effect.fnUntraced(function*(condition: () => boolean): Effect.fn.Return<void> {
  for (let look = 0; look < 5000 && !condition(); look++) yield* Effect.sleep(2)
})

/** Opens a channel; what it was refused with is the error. */
export const openChannel = (client: ssh2.Client, lane: "raft" | "control"): Effect.Effect<ClientChannel, string> =>
  Effect.callback<ClientChannel, string>((resume) => {
    const done = (error: Error | undefined, channel: ClientChannel) =>
      resume(error === undefined ? Effect.succeed(channel) : Effect.fail(error.message))
    if (lane === "raft") client.forwardOut("raft", 0, raftLane.host, raftLane.port, done)
    else client.subsys(controlSubsystem, done)
  })

export const helloOf = (name: string, changes: Partial<Hello> = {}): Hello => ({
  lowest: 1,
  highest: 1,
  purpose: "link",
  features: 0n,
  run: randomBytes(8).toString("hex"),
  nodeId: name as Hello["nodeId"],
  incarnation: Buffer.from(name).toString("hex").padStart(32, "0").slice(-32) as Hello["incarnation"],
  clusterId: null,
  introduction: null,
  ...changes
})

/** One frame as it goes over a lane. */
export const frame = (kind: number, body: Uint8Array): Buffer => {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(body.length + 1, 0)
  header[4] = kind
  return Buffer.concat([header, body])
}

export interface RawPeer extends Knocker {
  readonly raft: Duplex
  readonly control: Duplex
  /** Bytes that arrived on the raft lane. */
  readonly received: () => number
}

/** A peer that came in, opened both lanes and said hello on them; what comes next is the test's. */
export const peer = Effect.fnUntraced(function*(port: number, key: TestKey, hello: Hello) {
  const knocker = yield* enter(port, key)
  const raft = yield* openChannel(knocker.client, "raft")
  const control = yield* openChannel(knocker.client, "control")
  let received = 0
  for (const lane of [raft, control]) {
    lane.on("error", () => undefined)
    lane.on("data", (chunk: Buffer) => {
      if (lane === raft) received += chunk.length
    })
    lane.write(frame(frameKind.hello, encodeHello(hello)))
  }
  const made: RawPeer = { ...knocker, raft, control, received: () => received }
  return made
})

/** A TCP proxy in front of a port: it can hold everything back, or cut everything. */
export interface Wire {
  readonly port: number
  /**
   * From now on bytes are taken in and go nowhere, and one side's end is hidden from the other. `release` lets new
   * connections through again; those from before stay as they are.
   */
  readonly hold: () => void
  readonly release: () => void
  readonly cut: () => void
  /** Turns a bit over in each of the next pieces of bytes, so many of them. */
  readonly garble: (pieces: number) => void
  /** How many pieces of bytes have come through, and how many bytes. */
  readonly chunks: () => number
  readonly bytes: () => number
}

export const makeWire = Effect.fnUntraced(function*(
  target: () => number
): Effect.fn.Return<Wire, never, Scope.Scope> {
  const sockets = new Set<Socket>()
  const stuck = new WeakSet<Socket>()
  let held = false
  let garbled = 0
  let chunks = 0
  let bytes = 0
  const isStuck = (socket: Socket) => held || stuck.has(socket)
  const hold = () => {
    held = true
    for (const socket of sockets) stuck.add(socket)
  }
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
  }
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: target(), host: "127.0.0.1", noDelay: true })
    for (const [from, to] of [[near, far], [far, near]] as const) {
      keep(from)
      from.on("data", (chunk: Buffer) => {
        chunks++
        bytes += chunk.length
        if (garbled > 0) {
          garbled--
          const at = chunk.length >> 1
          chunk[at] = (chunk[at] ?? 0) ^ 1
        }
        if (!isStuck(from)) to.write(chunk)
      })
      from.on("close", () => isStuck(from) || to.destroy())
    }
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const port = yield* Effect.acquireRelease(listenOn(server), () =>
    Effect.sync(() => {
      cut()
      server.close()
    }))
  const garble = (pieces: number) => (garbled = pieces)
  return { port, cut, garble, hold, release: () => (held = false), chunks: () => chunks, bytes: () => bytes }
})

export const listenOn = (server: Server): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** Numbers from 0 to `below` - 1 that look random and are the same in every run. */
export const draws = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
