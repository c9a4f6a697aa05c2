import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer, type Socket } from "node:net"
import { Gate, type GateSettings } from "../src/Gate.ts"
import { SshCounters } from "../src/SshLog.ts"
import { listenOn, plainSocket, settled } from "./support/raw.ts"

const settings: GateSettings = {
  loginGraceMs: 60_000,
  maxUnauthenticated: 100,
  maxUnauthenticatedPerSource: 100,
  handshakesPerSecond: 1000,
  penaltyMs: 60_000
}

/** A gate behind a real port; `member` and `exempt` say what loopback is taken for. */
const makeGate = Effect.fnUntraced(function*(
  changes: Partial<GateSettings>,
  role: { member: boolean; exempt: boolean } = { member: false, exempt: false }
) {
  const counters = new SshCounters()
  const begun: Array<Socket> = []
  const gate = new Gate(
    { ...settings, ...changes },
    { isMember: () => role.member, isExempt: () => role.exempt, begin: (socket) => void begun.push(socket) },
    counters
  )
  const server = createServer((socket) => gate.arrive(socket))
  const port = yield* Effect.acquireRelease(listenOn(server), () =>
    Effect.sync(() => {
      gate.close()
      server.close()
    }))
  return { counters, begun, gate, port, role }
})

const openSockets = (port: number, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => plainSocket(port))

describe("the gate before authentication", () => {
  it.live("turns away strangers beyond three quarters of the places, and members beyond all of them", () =>
    Effect.gen(function*() {
      const { counters, gate, port, role } = yield* makeGate({ maxUnauthenticated: 8 })
      yield* openSockets(port, 10)
      yield* settled(() => counters.accepted === 10)
      assert.deepStrictEqual([gate.unauthenticated, counters.turnedAway], [6, 4])
      role.member = true
      yield* openSockets(port, 3)
      yield* settled(() => counters.accepted === 13)
      assert.deepStrictEqual([gate.unauthenticated, counters.turnedAway], [8, 5])
    }))

  it.live("turns away more than its share of one source, and takes others in again when they left", () =>
    Effect.gen(function*() {
      const { counters, gate, port } = yield* makeGate({ maxUnauthenticatedPerSource: 3 })
      const sockets = yield* openSockets(port, 5)
      yield* settled(() => counters.accepted === 5)
      assert.deepStrictEqual([gate.unauthenticated, counters.turnedAway], [3, 2])
      for (const { socket } of sockets) socket.destroy()
      yield* settled(() => gate.unauthenticated === 0)
      yield* openSockets(port, 3)
      yield* settled(() => counters.accepted === 8)
      assert.deepStrictEqual([gate.unauthenticated, counters.turnedAway], [3, 2])
    }))

  it.live("lets on no more key exchanges than its rate, the rest later, members first", () =>
    Effect.gen(function*() {
      const { begun, counters, port, role } = yield* makeGate({ handshakesPerSecond: 4 })
      yield* openSockets(port, 6)
      yield* settled(() => counters.accepted === 6)
      assert.isAtMost(begun.length, 5)
      role.member = true
      const [member] = yield* openSockets(port, 1)
      yield* settled(() => begun.length === 7)
      assert.strictEqual(begun.length, 7)
      const place = begun.findIndex((socket) => socket.remotePort === member?.socket.localPort)
      assert.isBelow(place, 6, "the member came last, and went on before a stranger")
      assert.isAtLeast(counters.delayedHandshakes, 2)
    }), 15_000)

  it.live("ends a connection when its time is over, and then keeps its source out, unless it is exempt", () =>
    Effect.gen(function*() {
      const { counters, gate, port, role } = yield* makeGate({ loginGraceMs: 30 })
      const [first] = yield* openSockets(port, 1)
      yield* settled(() => first?.closed() === true)
      assert.isTrue(first?.closed())
      assert.deepStrictEqual([gate.unauthenticated, counters.graceEnded], [0, 1])
      const [second] = yield* openSockets(port, 1)
      yield* settled(() => second?.closed() === true)
      assert.strictEqual(counters.turnedAway, 1)
      role.member = true
      const [third] = yield* openSockets(port, 1)
      yield* settled(() => third?.closed() === true)
      assert.strictEqual(counters.turnedAway, 1, "a member is let in although its address is under a penalty")
      const lenient = yield* makeGate({ loginGraceMs: 30 }, { member: false, exempt: true })
      for (let i = 0; i < 2; i++) {
        const [socket] = yield* openSockets(lenient.port, 1)
        yield* settled(() => socket?.closed() === true)
      }
      assert.deepStrictEqual([lenient.counters.turnedAway, lenient.counters.graceEnded], [0, 2])
    }))

  it.live("ends a connection that sends more than a handshake can need", () =>
    Effect.gen(function*() {
      const { counters, gate, port } = yield* makeGate({})
      const [flooder] = yield* openSockets(port, 1)
      yield* settled(() => gate.unauthenticated === 1)
      flooder?.socket.write(Buffer.alloc(200_000))
      yield* settled(() => flooder?.closed() === true)
      assert.isTrue(flooder?.closed())
      assert.deepStrictEqual([gate.unauthenticated, counters.cutStrangers], [0, 1])
    }))
})
