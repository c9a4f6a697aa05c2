import { type Address, encodeMessage, firstCallId, type Membership } from "@distkv/core"
import { TransportStation } from "@distkv/core/testing"
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import ssh2 from "ssh2"
import { encodeHello } from "../src/Hello.ts"
import { algorithms, frameKind, maxFrameBytes } from "../src/SshWire.ts"
import { connected } from "./support/connected.ts"
import { makeRsaPem, temporaryDirectory } from "./support/keys.ts"
import { makeAlone, makeNode, makePair } from "./support/nodes.ts"
import {
  enter,
  frame,
  helloOf,
  listenOn,
  makeKey,
  openChannel,
  peer,
  portOf,
  sayInProtocol,
  settled,
  type TestKey
} from "./support/raw.ts"

const { append, clusterA, clusterB, connect, identityOf, joinOf, memberOf, membershipOf, say, start, until, vote } =
  TransportStation

/** A node `n5` with one member beside it, whose part the test plays with `key` under the name it gives. */
const makeHost = Effect.fnUntraced(function*(name: string, options: Parameters<typeof makeAlone>[0] = {}) {
  const node = yield* makeAlone(options)
  const key = makeKey()
  yield* Keys.authorize(node.dir, key.publicKey)
  const station = yield* start(node.transport, identityOf("n5", clusterA))
  station.open.setMembership(membershipOf(memberOf(station), playedMember(name, key)))
  return { node, station, key, port: portOf(station.open.address) }
})

const playedMember = (name: string, key: TestKey): Membership["members"][number] => ({
  id: name as never,
  incarnation: null,
  publicKey: key.publicKey,
  // Nobody listens there, so the node cannot come by itself.
  address: "127.0.0.1:9" as Address,
  http: null,
  standing: "voter"
})

const message = (number: number): Buffer => frame(frameKind.message, encodeMessage(vote(number)))

describe("keys on both sides", () => {
  // scenario: M14
  // fails-with: any-key-for-any-member, checks-no-host-key
  it.live("a host with another key than the member's is not talked to, trusted or not (A01)", () =>
    Effect.gen(function*() {
      const [node, third] = yield* makePair()
      const member = makeKey()
      yield* Keys.authorize(node.dir, member.publicKey)
      const one = yield* start(node.transport, identityOf("n1", clusterA))
      const trustedHost = yield* start(third.transport, identityOf("n2", clusterA))
      const impostor = new ssh2.Server({ hostKeys: [makeKey().pem], algorithms })
      let authenticated = 0
      impostor.on("connection", (connection) => {
        connection.on("error", () => undefined)
        connection.on("authentication", (context) => {
          authenticated++
          context.accept()
        })
      })
      const port = yield* Effect.acquireRelease(listenOn(impostor), () => Effect.sync(() => impostor.close()))
      const wrong = { ...memberOf(trustedHost), publicKey: member.publicKey }
      for (const address of [`127.0.0.1:${port}` as Address, trustedHost.open.address]) {
        const before = node.ssh.stats().dials
        one.open.setMembership(membershipOf(memberOf(one), { ...wrong, address }))
        yield* settled(() => node.ssh.stats().dials >= before + 3)
        assert.isAtLeast(node.ssh.stats().dials, before + 3)
        assert.isFalse(connected(one))
      }
      assert.strictEqual(authenticated, 0)
      assert.isTrue(node.logged.some((line) => line.includes("which is not in")), node.logged.join("\n"))
      assert.isTrue(node.logged.some((line) => line.includes("which is not the key of n2")), node.logged.join("\n"))
    }))

  // fails-with: any-name-for-a-key
  it.live("a member's key under another member's name is not heard, and cut (A03)", () =>
    Effect.gen(function*() {
      const { key, node, port, station } = yield* makeHost("n2")
      const other = makeKey()
      station.open.setMembership(
        membershipOf(memberOf(station), playedMember("n2", key), playedMember("n3", other))
      )
      const liar = yield* peer(port, key, helloOf("n3", { clusterId: clusterA }))
      liar.raft.write(message(1))
      yield* settled(() => liar.closed())
      assert.isTrue(liar.closed())
      assert.deepStrictEqual(station.heard, [])
      assert.strictEqual(node.ssh.stats().refusedPeers, 1)
      const honest = yield* peer(port, key, helloOf("n2", { clusterId: clusterA }))
      honest.raft.write(message(2))
      yield* until("the honest one is heard", () => station.heard.length === 1)
      assert.deepStrictEqual(station.heard.map(({ from, message }) => [from, message]), [["n2", vote(2)]])
      yield* Effect.sync(() => honest.client.end())
    }))

  it.live("a peer that changes its name, its directory or its cluster in mid-connection is cut", () =>
    Effect.gen(function*() {
      const { key, node, port, station } = yield* makeHost("n2")
      const first = helloOf("n2", { clusterId: clusterA })
      const seconds = [
        { ...first, nodeId: "n3" as never },
        { ...first, incarnation: "f".repeat(32) as never },
        { ...first, clusterId: clusterB },
        { ...first, clusterId: null },
        { ...first, run: "0123456789abcdef" }
      ]
      for (const second of seconds) {
        const turncoat = yield* peer(port, key, first)
        turncoat.raft.write(frame(frameKind.hello, encodeHello(second)))
        turncoat.raft.write(message(1))
        yield* settled(() => turncoat.closed())
        assert.isTrue(turncoat.closed(), second.nodeId)
      }
      assert.deepStrictEqual(station.heard, [])
      assert.isAtLeast(node.ssh.stats().malformedFrames, seconds.length)
    }))

  it.live("an id_rsa as the Go library wrote it works in both directions", () =>
    Effect.gen(function*() {
      const [dir, otherDir] = [yield* temporaryDirectory, yield* temporaryDirectory]
      fs.writeFileSync(path.join(dir, "id_rsa"), makeRsaPem(2048), { mode: 0o600 })
      const [near, far] = [yield* makeNode(dir), yield* makeNode(otherDir)]
      assert.strictEqual(near.key.type, "ssh-rsa")
      yield* Keys.authorize(dir, far.key.line)
      yield* Keys.authorize(otherDir, near.key.line)
      const one = yield* start(near.transport, identityOf("n1", clusterA))
      const other = yield* start(far.transport, identityOf("n2", clusterA))
      yield* connect(one, other)
      yield* one.open.call(other.open.address, joinOf(one), 50)
      yield* other.open.call(one.open.address, joinOf(other), 50)
      assert.deepStrictEqual([one.heard.length, other.heard.length], [1, 1])
    }))

  it.live("a call says which key has to be put where", () =>
    Effect.gen(function*() {
      const [near, far] = [yield* makeAlone(), yield* makeAlone()]
      const one = yield* start(near.transport, identityOf("n1", null))
      const other = yield* start(far.transport, identityOf("n2", null))
      const ask = Effect.flip(one.open.call(other.open.address, joinOf(one), 3000))
      const unknownHost = yield* ask
      assert.strictEqual(unknownHost._tag, "NoLeader")
      assert.include(unknownHost.message, far.key.fingerprint)
      assert.include(unknownHost.message, path.join(near.dir, "authorized.keys"))
      yield* Keys.authorize(near.dir, far.key.line)
      const unknownHere = yield* ask
      assert.include(unknownHere.message, near.key.line)
      yield* Keys.authorize(far.dir, near.key.line)
      yield* one.open.call(other.open.address, joinOf(one), 100)
      assert.strictEqual(other.heard.length, 1)
      const itself = yield* Effect.flip(one.open.call(one.open.address, joinOf(one), 3000))
      assert.include(itself.message, "this node itself")
    }))
})

describe("peers that break the rules", () => {
  // fails-with: frames-of-any-length, hears-before-the-hello
  it.live(
    "frames that are too long, empty, unknown, early or malformed end the connection and nothing else (A10)",
    () =>
      Effect.gen(function*() {
        const { key, node, port, station } = yield* makeHost("n2")
        const hello = helloOf("n2", { clusterId: clusterA })
        const length = (value: number) => {
          const bytes = Buffer.alloc(4)
          bytes.writeUInt32BE(value)
          return bytes
        }
        const unknown = Buffer.from(encodeMessage(vote(1)))
        unknown[0] = 200
        const hostile: ReadonlyArray<Buffer> = [
          length(maxFrameBytes + 1),
          length(2 ** 32 - 1),
          length(2 ** 31),
          length(0),
          frame(77, Buffer.alloc(3)),
          frame(frameKind.message, Buffer.alloc(0)),
          frame(frameKind.message, unknown),
          frame(frameKind.message, encodeMessage(vote(1)).subarray(0, 5)),
          frame(frameKind.message, Buffer.concat([encodeMessage(vote(1)), Buffer.from([0])])),
          frame(frameKind.message, encodeMessage({ _tag: "ReadIndexReply", id: 1, index: null })),
          frame(frameKind.hello, Buffer.from("hello"))
        ]
        for (const bytes of hostile) {
          const attacker = yield* peer(port, key, hello)
          attacker.raft.write(bytes)
          attacker.raft.write(message(9))
          yield* settled(() => attacker.closed())
          assert.isTrue(attacker.closed(), bytes.toString("hex").slice(0, 40))
        }
        assert.strictEqual(node.ssh.stats().malformedFrames, hostile.length)
        assert.deepStrictEqual(station.heard, [])
        const early = yield* enter(port, key)
        const lane = yield* openChannel(early.client, "raft")
        lane.write(message(1))
        yield* settled(() => early.closed())
        assert.isTrue(early.closed())
        yield* until("others are served", () => node.ssh.stats().malformedFrames === hostile.length + 1)
        const honest = yield* peer(port, key, hello)
        honest.raft.write(message(3))
        yield* until("it is heard", () => station.heard.length === 1)
      }),
    20_000
  )

  it.live("a protocol of another version or another kind is refused clearly", () =>
    Effect.gen(function*() {
      const { key, node, port } = yield* makeHost("n2")
      const hello = helloOf("n2", { clusterId: clusterA })
      for (const bad of [{ ...hello, lowest: 2, highest: 7 }, { ...hello, lowest: 0, highest: 0 }]) {
        const newer = yield* peer(port, key, bad)
        yield* settled(() => newer.closed())
        assert.isTrue(newer.closed())
      }
      assert.isTrue(node.logged.some((line) => line.includes("wire versions 2 to 7")))
      const wide = yield* peer(port, key, { ...hello, lowest: 0, highest: 9, features: 2n ** 63n })
      wide.raft.write(message(1))
      yield* settled(() => node.ssh.stats().malformedFrames > 2 || wide.received() > 0)
      assert.isFalse(wide.closed())
    }))

  // fails-with: second-lanes
  it.live(
    "shells, commands, sftp, forwarding and second lanes are refused, and the link lives on (A16)",
    () =>
      Effect.gen(function*() {
        const { key, node, port, station } = yield* makeHost("n2")
        const busy = yield* peer(port, key, helloOf("n2", { clusterId: clusterA }))
        const { client } = busy
        const refusedBy = (ask: (done: (error: Error | undefined) => void) => void) =>
          Effect.callback<boolean>((resume) => ask((error) => resume(Effect.succeed(error !== undefined))))
        assert.isTrue(yield* refusedBy((done) => client.exec("id", done)))
        assert.isTrue(yield* refusedBy((done) => client.shell(done)))
        assert.isTrue(yield* refusedBy((done) => client.sftp(done)))
        assert.isTrue(yield* refusedBy((done) => client.forwardOut("raft", 0, "127.0.0.1", 22, done)))
        assert.isTrue(yield* refusedBy((done) => client.forwardOut("raft", 0, "bulk", 2, done)))
        assert.isTrue(yield* refusedBy((done) => client.forwardOut("raft", 0, "raft", 2, done)))
        assert.isTrue(yield* refusedBy((done) => client.forwardIn("127.0.0.1", 0, done)))
        assert.isTrue(yield* refusedBy((done) => client.openssh_forwardOutStreamLocal("/tmp/x", done)))
        assert.isTrue((yield* Effect.exit(openChannel(client, "raft")))._tag === "Failure")
        const many = 10_000
        yield* Effect.forEach(
          Array.from({ length: many }, (_, i) => i),
          (i) =>
            Effect.map(
              refusedBy((done) => client.forwardOut("raft", 0, "elsewhere", i, done)),
              (refused) => assert.isTrue(refused)
            ),
          { concurrency: 100, discard: true }
        )
        assert.isAtLeast(node.ssh.stats().refusedChannels, many)
        busy.raft.write(message(4))
        yield* until("the link still carries", () => station.heard.length === 1)
      }),
    30_000
  )

  it.live("a peer over whose link a call comes, or that takes packets of no size, is cut", () =>
    Effect.gen(function*() {
      const { key, node, port, station } = yield* makeHost("n2")
      const hello = helloOf("n2", { clusterId: clusterA })
      const caller = yield* peer(port, key, hello)
      const command = { _tag: "Transfer", to: null } as const
      for (const id of [firstCallId - 1, firstCallId]) {
        const request = encodeMessage({ _tag: "AdminRequest", id, hops: 1, remainingMs: 9, command })
        caller.control.write(frame(frameKind.message, request))
      }
      yield* settled(() => caller.closed())
      assert.isTrue(caller.closed())
      assert.strictEqual(station.heard.length, 1)
      const stingy = yield* enter(port, key)
      const target = { srcIP: "raft", srcPort: 0, dstIP: "raft", dstPort: 1 }
      sayInProtocol(stingy.client, "directTcpip", 7, 1024 * 1024, 0, target)
      yield* settled(() => stingy.closed())
      assert.isTrue(stingy.closed())
      yield* settled(() => node.ssh.stats().connections === 0)
      assert.strictEqual(node.ssh.stats().connections, 0)
    }))

  // fails-with: queues-without-end
  it.live(
    "a peer that never reads fills its buffer and no more, and others are not held up (A17)",
    () =>
      Effect.gen(function*() {
        const { key, node, port, station } = yield* makeHost("n2", { sendBufferBytes: 8 * 1024 * 1024 })
        const second = makeKey()
        yield* Keys.authorize(node.dir, second.publicKey)
        station.open.setMembership(membershipOf(memberOf(station), playedMember("n2", key), playedMember("n3", second)))
        const deaf = yield* peer(port, key, helloOf("n2", { clusterId: clusterA }))
        const awake = yield* peer(port, second, helloOf("n3", { clusterId: clusterA }))
        yield* until("both are connected", () => connected(station))
        deaf.raft.pause()
        const alive = setInterval(() => {
          for (const one of [deaf, awake]) one.raft.write(frame(frameKind.ping, Buffer.alloc(0)))
        }, 40)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(alive)))
        const large = append(500_000)
        let sent = 0
        for (let turn = 0; turn < 400 && say(station, station.open.links()[0]?.id ?? station.id, large); turn++) {
          sent++
          yield* Effect.sleep(1)
        }
        assert.isBelow(sent * 0.5, 20, "megabytes taken in for a peer that never reads")
        assert.isAtLeast(station.open.traffic()[0]?.droppedMessages ?? 0, 1)
        const before = awake.received()
        assert.isTrue(say(station, station.open.links()[1]?.id ?? station.id, large))
        yield* until("the other one hears", () => awake.received() - before > 500_000)
        assert.isTrue(connected(station))
        deaf.raft.resume()
        yield* until("there is room again", () => say(station, station.open.links()[0]?.id ?? station.id, vote(1)))
      }),
    20_000
  )

  it.live("a peer that opens connection upon connection is kept to its share", () =>
    Effect.gen(function*() {
      const { key, node, port } = yield* makeHost("n2", { handshakesPerSecond: 1000 })
      const crowd = yield* Effect.forEach(Array.from({ length: 24 }), () => enter(port, key))
      yield* settled(() => crowd.filter((one) => one.closed()).length >= 8)
      assert.strictEqual(crowd.filter((one) => one.closed()).length, 8)
      assert.strictEqual(node.ssh.stats().refusedPeers, 8)
    }))

  it.live("an authenticated peer that never says who it is is gone after the grace period", () =>
    Effect.gen(function*() {
      const { key, port } = yield* makeHost("n2", { loginGrace: 200 })
      const mute = yield* enter(port, key)
      yield* openChannel(mute.client, "raft")
      yield* settled(() => mute.closed())
      assert.isTrue(mute.closed())
    }))
})
