/**
 * §6.3 of the thesis, linearizable semantics by sessions, and the rules of figure 6.1 (RegisterClient, ClientRequest),
 * sentence by sentence. The sentences are paraphrased.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Command } from "../../src/domain/Command.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { Outcome } from "../../src/domain/Outcome.ts"
import { clientResults, clientSessions } from "../../src/rules/Sessions.ts"
import { plain } from "../domain/Samples.ts"
import { Machine, type Place } from "../state/Machine.ts"

const put = (key: string, value = 1): Command => ({
  _tag: "Put",
  key: key as Key,
  value: new Uint8Array([value]),
  ifRevision: null,
  previous: false,
  leaseId: null
})

const same = (outcome: Outcome, other: Outcome) => assert.deepStrictEqual(plain(outcome), plain(other))

const value = (machine: Machine, key: string) => machine.inner.get(key as Key)?.value[0]

describe("figure 6.1, RegisterClient", () => {
  it("2, 3. allocates a session when its entry is applied, in the order of the log: the same one on every server", () => {
    const servers = [new Machine(), new Machine()]
    const opened = servers.map((one) => {
      one.apply(put("k"))
      return [one.openSession(), one.openSession()]
    })
    assert.deepStrictEqual(opened[0], opened[1])
    assert.notStrictEqual(opened[0]![0], opened[0]![1])
    servers[1]!.apply(put("k"))
    assert.notInclude(opened[0]!, servers[1]!.openSession(), "no identifier is given twice")
  })
})

describe("figure 6.1, ClientRequest", () => {
  /** A server with a session in it. */
  const begun = () => {
    const server = new Machine()
    const session = server.openSession()
    return { server, at: (sequence: number, more: Place = {}): Place => ({ session, sequence, ...more }) }
  }

  it("3. an unknown session is told so, and its command is not executed", () => {
    const { server } = begun()
    const before = server.inner.revision
    assert.strictEqual(server.apply(put("k"), { session: 998, sequence: 1 })._tag, "SessionExpired")
    assert.deepStrictEqual([server.inner.revision, value(server, "k")], [before, undefined])
  })

  it("3. so is one whose response was discarded, since its client had said that it had it", () => {
    const { at, server } = begun()
    server.apply(put("k", 1), at(1))
    server.apply(put("k", 2), at(2, { unacknowledged: 2 }))
    assert.strictEqual(server.apply(put("k", 1), at(1))._tag, "SessionExpired")
    assert.strictEqual(value(server, "k"), 2)
  })

  it("4. a number that was processed is answered with what was stored, without being executed again", () => {
    const { at, server } = begun()
    const first = server.apply(put("k", 1), at(1))
    server.apply(put("k", 2))
    const before = server.inner.revision
    same(server.apply(put("k", 1), at(1)), first)
    assert.deepStrictEqual([server.inner.revision, value(server, "k")], [before, 2])
  })

  it("5, 6. else it is applied in the order of the log, and its output kept under its number", () => {
    const { at, server } = begun()
    const outcomes = [3, 1, 2].map((n) => server.apply(put(`k${n}`, n), at(n)))
    for (const [i, n] of [3, 1, 2].entries()) same(server.apply(put(`k${n}`, n), at(n)), outcomes[i]!)
    assert.strictEqual(server.inner.revision, 3 as never)
  })

  it("6. of requests that are under way at once every output is kept until the client has it, within a bound", () => {
    const { at, server } = begun()
    for (let n = 1; n <= clientResults; n++) server.apply(put("k", n % 256), at(n))
    assert.strictEqual(server.apply(put("k", 1), at(1))._tag, "Put")
    server.apply(put("k", 7), at(clientResults + 1))
    assert.strictEqual(server.apply(put("k", 1), at(1))._tag, "SessionExpired")
    assert.strictEqual(server.apply(put("k", 2), at(2))._tag, "Put")
  })
})

describe("§6.3, sessions end", () => {
  it("when there are too many, the one used least recently, on every server at the same entry", () => {
    const servers = [new Machine(), new Machine()]
    // One of them is made anew of a snapshot in the midst of it.
    const run = (server: Machine, renew: (one: Machine) => Machine) => {
      const [first, second] = [server.openSession(), server.openSession()]
      for (let i = 2; i < clientSessions; i++) server.openSession()
      const one = renew(server)
      one.apply(put("k"), { session: first, sequence: 1 })
      one.openSession()
      return [first, second].map((session) => one.apply(put("k"), { session, sequence: 2 })._tag)
    }
    const seen = [run(servers[0]!, (one) => one), run(servers[1]!, (one) => Machine.of(one))]
    assert.deepStrictEqual(seen, [["Put", "SessionExpired"], ["Put", "SessionExpired"]])
  })

  it("and are part of the state: whoever begins with a snapshot filters the same duplicates", () => {
    const server = new Machine()
    const session = server.openSession()
    const first = server.apply(put("k", 1), { session, sequence: 1 })
    server.apply(put("k", 2))
    const copy = Machine.of(server)
    same(copy.apply(put("k", 1), { session, sequence: 1 }), first)
    assert.strictEqual(value(copy, "k"), 2)
  })
})
