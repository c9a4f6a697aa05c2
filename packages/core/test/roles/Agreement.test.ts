/** Replicas compare what they have made of the log: who differs from most voters stops itself, and nobody else. */
import { assert, describe, it } from "@effect/vitest"
import type { PeerMessageOf } from "../../src/domain/PeerMessage.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, configure, electionTimeout, peer, put } from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const

const digestOf = (from: number, termOf: number, at: number, digest: number, majority = false) =>
  peer(from, { _tag: "StateDigest", term: term(termOf), index: index(at), digest, majority })

/** A leader of term 2 that has committed a config entry with the feature and a write. */
const leading = (voters = 3): Bench => {
  const bench = new Bench({ membership: cluster(voters), log: [1] })
  bench.deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(voters)), put(1, 3)], 3)).persist()
  bench.lead()
  for (let n = 2; n <= voters; n++) bench.deliver(accepted(n, 2, 4))
  assert.strictEqual(bench.node.machine.applied, index(4))
  return bench
}

/** The round that the next heartbeat begins. */
const asked = (bench: Bench): PeerMessageOf<"StateDigest"> => {
  bench.take("StateDigest")
  bench.elapse(100).deliver(beat)
  const [first] = bench.take("StateDigest")
  assert.isDefined(first)
  return first.message
}

describe("a leader that compares digests", () => {
  it("asks every member, and lets equal ones be", () => {
    const bench = leading()
    const { digest, index: at, majority } = asked(bench)
    assert.deepStrictEqual([digest, at, majority], [bench.node.machine.digest.current, 4, false])
    bench.deliver(digestOf(2, 2, at, digest), digestOf(3, 2, at, digest))
    assert.deepStrictEqual(bench.take("StateDigest"), [])
    assert.strictEqual(bench.node.counters.disagreements, 0)
  })

  it("tells the one that differs from the majority, which it is itself part of", () => {
    const bench = leading()
    const { digest, index: at } = asked(bench)
    bench.deliver(digestOf(3, 2, at, digest + 1))
    assert.deepStrictEqual(bench.take("StateDigest"), [], "one against one decides nothing")
    assert.strictEqual(bench.node.counters.disagreements, 1)
    bench.deliver(digestOf(2, 2, at, digest))
    const [verdict, ...more] = bench.take("StateDigest")
    assert.deepStrictEqual([verdict?.to, verdict?.message.majority, verdict?.message.digest], [id(3), true, digest])
    assert.lengthOf(more, 0)
  })

  it("stops itself when most voters have another digest", () => {
    const bench = leading()
    const { digest, index: at } = asked(bench)
    bench.deliver(digestOf(2, 2, at, digest + 1))
    assert.throws(() => bench.deliver(digestOf(3, 2, at, digest + 1)), /differs from that of most voters at entry 4/u)
  })

  it("counts no learner, no other index, and nobody twice", () => {
    const bench = new Bench({ membership: cluster(3, 2), log: [1] })
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(3, 2)), put(1, 3)], 3)).persist()
    bench.lead().deliver(accepted(2, 2, 4), accepted(3, 2, 4))
    const { digest, index: at } = asked(bench)
    const wrong = digest + 1
    bench.deliver(digestOf(4, 2, at, wrong), digestOf(5, 2, at, wrong), digestOf(2, 2, at, wrong))
    bench.deliver(digestOf(2, 2, at, wrong), digestOf(3, 2, at - 1, wrong))
    assert.strictEqual(bench.node.role, "Leader")
    bench.deliver(digestOf(3, 2, at, digest))
    assert.deepStrictEqual(bench.take("StateDigest").map(({ to }) => to), [id(4), id(5), id(2)])
  })

  it("asks again only when something was applied, and at most every other election time-out", () => {
    const bench = leading()
    const { digest, index: at } = asked(bench)
    bench.deliver(digestOf(2, 2, at, digest), digestOf(3, 2, at, digest)).elapse(3 * electionTimeout)
    bench.deliver(accepted(2, 2, 4, 9), accepted(3, 2, 4, 9), beat)
    assert.deepStrictEqual(bench.take("StateDigest"), [])
  })
})

describe("a follower that is asked for its digest", () => {
  const following = (): Bench => {
    const bench = new Bench({ membership: cluster(3), log: [1] })
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(3)), put(1, 3), put(1, 4)], 3)).persist()
    bench.take("AppendReply")
    return bench
  }

  it("answers once it has applied that entry, whatever it has applied since", () => {
    const bench = following()
    const { current } = bench.node.machine.digest
    bench.deliver(digestOf(2, 1, 4, 1))
    assert.deepStrictEqual(bench.take("StateDigest"), [])
    bench.deliver(append(2, 1, [1, 4], [put(1, 5)], 5, 2)).persist().deliver(beat)
    const [answer] = bench.take("StateDigest")
    assert.strictEqual(answer?.message.digest, bench.node.machine.digest.at(4))
    assert.notStrictEqual(answer?.message.digest, current)
    assert.notStrictEqual(answer?.message.digest, bench.node.machine.digest.current)
  })

  it("stops only when the majority has another one than its own at that entry", () => {
    const bench = following()
    const own = bench.node.machine.digest.at(3)!
    bench.deliver(digestOf(2, 1, 3, own + 1), beat)
    bench.deliver(digestOf(2, 1, 3, own, true), beat)
    bench.deliver(digestOf(3, 1, 3, own + 1, true), beat, digestOf(2, 0, 3, own + 1, true), beat)
    bench.deliver(digestOf(2, 1, 2 ** 40, own + 1, true), beat)
    assert.strictEqual(bench.node.role, "Follower", "neither of who leads not, nor of a past term, nor of the future")
    assert.throws(() => bench.deliver(digestOf(2, 1, 3, own + 1, true), beat), /has applied the same log/u)
  })
})
