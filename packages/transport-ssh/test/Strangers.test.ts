import { TransportStation } from "@distkv/core/testing"
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as path from "node:path"
import ssh2, { type ConnectConfig, type IdentityCallback, type ParsedKey, type SignCallback } from "ssh2"
import { makeRsaPem, temporaryDirectory } from "./support/keys.ts"
import { makeAlone, type SshNode } from "./support/nodes.ts"
import {
  enter,
  keyFrom,
  knock,
  type Knocker,
  makeKey,
  openChannel,
  plainSocket,
  portOf,
  sayInProtocol,
  settled
} from "./support/raw.ts"

const { clusterA, identityOf, start } = TransportStation
type Station = TransportStation.Station

/** A node that trusts one key beside its own, and is not disturbed by strangers on loopback. */
const makeDoor = Effect.fnUntraced(function*(options: Parameters<typeof makeAlone>[0] = {}) {
  const node = yield* makeAlone({ handshakesPerSecond: 10_000, ...options })
  const trusted = makeKey()
  yield* Keys.authorize(node.dir, trusted.publicKey)
  const station = yield* start(node.transport, identityOf("n1", clusterA))
  return { node, station, trusted, port: portOf(station.open.address) }
})

/** The node still lets in whom it trusts, and has nobody standing in the door. */
const isUnharmed = Effect.fnUntraced(function*(door: {
  readonly node: SshNode
  readonly station: Station
  readonly trusted: ReturnType<typeof makeKey>
  readonly port: number
}) {
  const peer = yield* enter(door.port, door.trusted)
  assert.isTrue(peer.ready())
  yield* settled(() => door.node.ssh.stats().unauthenticated === 0)
  assert.strictEqual(door.node.ssh.stats().unauthenticated, 0)
  assert.deepStrictEqual(door.station.heard, [])
})

/** An agent that has the public half of a key only: it can ask whether the key would do, and sign nothing. */
class PublicHalf extends ssh2.BaseAgent<ParsedKey> {
  asked = 0
  private readonly key: ParsedKey

  constructor(publicKey: string) {
    super()
    const parsed = ssh2.utils.parseKey(publicKey)
    if (parsed instanceof Error) throw parsed
    this.key = parsed
  }

  override getIdentities(callback: IdentityCallback<ParsedKey>): void {
    callback(undefined, [this.key])
  }

  override sign(_key: ParsedKey, _data: Buffer, _options: unknown, _callback?: SignCallback): void {
    this.asked++
  }
}

describe("authentication", () => {
  // scenario: A02
  it.live("refuses a stranger's key, wherever it knocks", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      const stranger = yield* knock(door.port, { privateKey: makeKey().pem, authHandler: ["publickey"] })
      yield* settled(() => stranger.closed())
      assert.isFalse(stranger.ready())
      assert.include(stranger.errors.join(), "authentication")
      yield* isUnharmed(door)
    }))

  it.live("refuses another user, passwords, and nothing at all", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      const configs: ReadonlyArray<ConnectConfig> = [
        { username: "root", privateKey: door.trusted.pem, authHandler: ["publickey"] },
        { password: "raft", authHandler: ["password"] },
        { authHandler: ["none"] },
        { tryKeyboard: true, authHandler: ["keyboard-interactive"] }
      ]
      for (const config of configs) {
        const stranger = yield* knock(door.port, config)
        yield* settled(() => stranger.closed())
        assert.isFalse(stranger.ready(), JSON.stringify(config.authHandler))
        assert.isTrue(stranger.closed())
      }
      yield* isUnharmed(door)
    }))

  // fails-with: takes-a-question-for-proof
  it.live("takes the question whether a key would do for no proof (A04)", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor({ loginGrace: 300 })
      const agent = new PublicHalf(door.trusted.publicKey)
      const prober = yield* knock(door.port, { agent, authHandler: ["agent"] })
      yield* settled(() => agent.asked > 0)
      assert.strictEqual(agent.asked, 1, "the node said that the key would do")
      for (const lane of ["raft", "control"] as const) {
        assert.isTrue((yield* Effect.exit(openChannel(prober.client, lane)))._tag === "Failure")
      }
      yield* settled(() => prober.closed())
      assert.isFalse(prober.ready())
      assert.isTrue(prober.closed(), "it is gone after its time")
      yield* isUnharmed(door)
    }))

  // scenario: A04
  // fails-with: any-signature-will-do
  it.live("refuses a signature that another key made", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      class Forger extends PublicHalf {
        override sign(_key: ParsedKey, data: Buffer, _options: unknown, callback?: SignCallback): void {
          const own = ssh2.utils.parseKey(makeKey().pem)
          if (!(own instanceof Error)) callback?.(undefined, own.sign(data))
        }
      }
      const agent = new Forger(door.trusted.publicKey)
      const forger = yield* knock(door.port, { agent, authHandler: ["agent"] })
      yield* settled(() => forger.closed())
      assert.isFalse(forger.ready())
      assert.strictEqual(door.node.ssh.stats().failedAuthentications, 1)
      yield* isUnharmed(door)
    }))

  // fails-with: guesses-without-end
  it.live("cuts a connection at the third rejected try, and after a dozen free ones (A02)", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      for (const [method, limit] of [["password", 3], ["none", 13]] as const) {
        let tries = 0
        const guesser = yield* knock(door.port, {
          authHandler: (_left, _partial, next) => {
            tries++
            next(
              method === "none" ? { type: "none", username: "raft" } : {
                type: "password",
                username: "raft",
                password: `${tries}`
              }
            )
          }
        })
        yield* settled(() => guesser.closed())
        assert.isTrue(guesser.closed())
        assert.isAtMost(tries, limit + 1, method)
        assert.isAtLeast(tries, limit, method)
      }
      assert.strictEqual(door.node.ssh.stats().failedAuthentications, 3)
      yield* isUnharmed(door)
    }))

  it.live("takes an rsa key with SHA-2, and refuses the same with SHA-1", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      const rsa = keyFrom(makeRsaPem(2048))
      yield* Keys.authorize(door.node.dir, rsa.publicKey)
      assert.isTrue((yield* enter(door.port, rsa)).ready())
      const own = ssh2.utils.parseKey(rsa.pem)
      if (own instanceof Error) return yield* Effect.die(own)
      const old: Knocker = yield* knock(door.port, {
        // The key's own type as the algorithm means SHA-1.
        authHandler: () =>
          sayInProtocol(old.client, "authPK", "raft", own, (data: Buffer, done: (signature: Buffer) => void) =>
            done(own.sign(data, "sha1")))
      })
      yield* settled(() =>
        old.ready() || door.node.ssh.stats().failedAuthentications > 0
      )
      assert.isFalse(old.ready())
      assert.strictEqual(door.node.ssh.stats().failedAuthentications, 1)
      old.client.end()
      yield* isUnharmed(door)
    }))

  // fails-with: offers-weak-algorithms
  it.live("has no algorithm in common with who offers only weak ones (A06, A07)", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor({ keyType: "rsa" })
      const weak: ReadonlyArray<NonNullable<ConnectConfig["algorithms"]>> = [
        { kex: ["diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"] },
        { serverHostKey: ["ssh-rsa", "ssh-dss"] },
        { cipher: ["aes128-cbc", "3des-cbc"] },
        { cipher: ["aes128-ctr", "aes256-ctr"] },
        // The two kinds to which the Terrapin attack applies.
        { cipher: ["chacha20-poly1305@openssh.com"] },
        { cipher: ["aes256-cbc"], hmac: ["hmac-sha2-256-etm@openssh.com"] },
        { cipher: ["aes256-ctr"], hmac: ["hmac-sha1", "hmac-md5"] },
        { compress: ["zlib", "zlib@openssh.com"] }
      ]
      for (const algorithms of weak) {
        const stranger = yield* knock(door.port, {
          algorithms,
          privateKey: door.trusted.pem,
          authHandler: ["publickey"]
        })
        yield* settled(() => stranger.closed())
        assert.isFalse(stranger.ready(), JSON.stringify(algorithms))
        assert.isTrue(stranger.closed(), JSON.stringify(algorithms))
      }
      yield* isUnharmed(door)
    }))
})

describe("those who take their time", () => {
  // fails-with: no-grace
  it.live("are gone after the grace period, at whatever point they stopped (A08)", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor({ loginGrace: 250 })
      const silent = yield* plainSocket(door.port)
      const named = yield* plainSocket(door.port)
      named.socket.write("SSH-2.0-x\r\n")
      const slow = yield* plainSocket(door.port)
      const drip = setInterval(() => slow.socket.write("S"), 20)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(drip)))
      const undecided = yield* knock(door.port, { hostVerifier: () => undefined as never, authHandler: ["publickey"] })
      const speechless = yield* knock(door.port, { privateKey: door.trusted.pem, authHandler: () => undefined })
      const all = [silent, named, slow, undecided, speechless]
      yield* settled(() => door.node.ssh.stats().unauthenticated === 5)
      assert.strictEqual(door.node.ssh.stats().unauthenticated, 5)
      yield* settled(() => all.every(({ closed }) => closed()))
      assert.isTrue(all.every(({ closed }) => closed()))
      assert.strictEqual(door.node.ssh.stats().graceEnded, 5)
      yield* isUnharmed(door)
    }))

  // scenario: A08
  it.live("who say a thousand lines before the one that counts are cut long before they are done", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      const chatty = yield* plainSocket(door.port)
      const line = Buffer.alloc(8 * 1024, "x")
      line.write("\r\n", line.length - 2)
      let lines = 0
      while (lines < 1024 && !chatty.closed()) {
        chatty.socket.write(line)
        lines++
        yield* Effect.sleep(1)
      }
      assert.isTrue(chatty.closed())
      assert.isBelow(lines, 200)
      yield* isUnharmed(door)
    }))

  // fails-with: lets-crowds-in
  it.live("do not keep others out beyond their share of the places (A09)", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor({ maxUnauthenticated: 8, loginGrace: 400 })
      const crowd = yield* Effect.forEach(Array.from({ length: 20 }), () => plainSocket(door.port))
      yield* settled(() => door.node.ssh.stats().accepted === 20)
      assert.strictEqual(door.node.ssh.stats().unauthenticated, 6)
      yield* settled(() => crowd.every(({ closed }) => closed()))
      yield* isUnharmed(door)
    }))

  it.live("who begin to exchange keys again and again are cut before they are known", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor()
      const agent = new PublicHalf(door.trusted.publicKey)
      const busy = yield* knock(door.port, { agent, authHandler: ["agent"] })
      yield* settled(() => agent.asked > 0)
      sayInProtocol(busy.client, "rekey")
      yield* settled(() => busy.closed())
      assert.isTrue(busy.closed())
      const { cutStrangers, graceEnded } = door.node.ssh.stats()
      assert.deepStrictEqual([cutStrangers, graceEnded], [1, 0])
      yield* isUnharmed(door)
    }))
})

describe("those who speak no SSH", () => {
  // scenario: H12
  it.live("do no harm, whatever they send", () =>
    Effect.gen(function*() {
      const door = yield* makeDoor({
        loginGrace: 150,
        maxUnauthenticated: 4000,
        maxUnauthenticatedPerSource: 4000
      })
      const noise = (seed: number, length: number) => {
        const parts: Array<Buffer> = []
        for (let i = 0; i * 64 < length; i++) parts.push(createHash("sha512").update(`${seed} ${i}`).digest())
        return Buffer.concat(parts).subarray(0, length)
      }
      const ident = Buffer.from("SSH-2.0-x\r\n")
      const make: ReadonlyArray<(seed: number) => Buffer> = [
        (seed) => noise(seed, 1 + seed % 3000),
        (seed) => Buffer.concat([ident, noise(seed, 1 + seed % 3000)]),
        () => Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (seed) => Buffer.from(`SSH-1.${seed % 100}-old\r\n`),
        () => Buffer.concat([ident, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])]),
        () => Buffer.concat([ident, Buffer.alloc(64)]),
        () => Buffer.alloc(20_000, "x"),
        () => Buffer.concat([ident, Buffer.from([0, 0, 0, 12, 10, 20]), Buffer.alloc(40)])
      ]
      const count = 2000
      yield* Effect.forEach(Array.from({ length: count }), (_, seed) =>
        Effect.scoped(Effect.gen(function*() {
          const { closed, socket } = yield* plainSocket(door.port)
          yield* settled(() => !socket.connecting)
          socket.write(make[seed % make.length]?.(seed) ?? "")
          if (seed % 3 === 0) yield* settled(closed)
          else if (seed % 3 === 1) socket.resetAndDestroy()
        })), { concurrency: 100 })
      yield* settled(() => door.node.ssh.stats().accepted >= count * 0.9)
      assert.isAtLeast(door.node.ssh.stats().accepted, count * 0.9)
      yield* isUnharmed(door)
    }), 60_000)
})

const hasSsh = spawnSync("ssh", ["-V"]).error === undefined

/** Runs OpenSSH's client against a port; the node lives in this process, so it must not block. */
const openSsh = (port: number, identity: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly status: number | null; readonly stdout: Buffer; readonly stderr: string }>((resume) => {
    const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "IdentitiesOnly=yes"]
    const child = spawn("ssh", [
      "-F",
      "/dev/null",
      "-p",
      `${port}`,
      "-i",
      identity,
      ...options.flatMap((option) => ["-o", option]),
      ...args
    ], { stdio: ["pipe", "pipe", "pipe"] })
    const stdout: Array<Buffer> = []
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => {
      stdout.push(chunk)
      child.stdin.end()
    })
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    child.on("close", (status) => resume(Effect.succeed({ status, stdout: Buffer.concat(stdout), stderr })))
    return Effect.sync(() => child.kill())
  })

describe("OpenSSH's own client", () => {
  it.live.skipIf(!hasSsh)(
    "is refused with a stranger's key, and gets the control lane and nothing else with a trusted one",
    () =>
      Effect.gen(function*() {
        const door = yield* makeDoor()
        const dir = yield* temporaryDirectory
        const { key } = yield* Keys.init(dir)
        const identity = path.join(dir, "id_ed25519")
        const refused = yield* openSsh(door.port, identity, "-s", "raft@127.0.0.1", "distkv-control")
        assert.strictEqual(refused.status, 255)
        assert.include(refused.stderr, "Permission denied")
        yield* Keys.authorize(door.node.dir, key.line)
        const control = yield* openSsh(door.port, identity, "-s", "raft@127.0.0.1", "distkv-control")
        assert.include(control.stdout.toString("latin1"), "dkv\0", control.stderr)
        for (const args of [["raft@127.0.0.1", "id"], ["-T", "raft@127.0.0.1"], ["-s", "raft@127.0.0.1", "sftp"]]) {
          const { status, stdout } = yield* openSsh(door.port, identity, ...args)
          assert.notStrictEqual(status, 0, args.join(" "))
          assert.strictEqual(stdout.length, 0)
        }
        const forward = yield* openSsh(door.port, identity, "-W", "127.0.0.1:22", "raft@127.0.0.1")
        assert.notStrictEqual(forward.status, 0)
        yield* isUnharmed(door)
      }),
    30_000
  )
})
