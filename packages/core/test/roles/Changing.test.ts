import { assert, describe, it } from "@effect/vitest"
import { index } from "../rules/Logs.ts"
import { accepted, addLearner as add, append, Bench, cluster, put } from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const

const failed = (ends: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  ends.map((end) => end.error?._tag ?? end._tag)

describe("a change of the membership", () => {
  it("waits until the leader has committed in its own term (M01)", () => {
    const bench = new Bench({ log: [1], term: 1 }).lead([2])
    const ends = bench.administer(add(4))
    bench.deliver(accepted(2, 2, 1))
    assert.strictEqual(bench.node.log.last, index(2))
    bench.deliver(accepted(2, 2, 2))
    assert.deepStrictEqual([bench.node.log.last, bench.node.membership.members.length], [3, 4])
    bench.persist().deliver(accepted(2, 2, 3))
    assert.deepStrictEqual(failed(ends), ["Admitted"])
  })

  it("is made one at a time (M03)", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1))
    const first = bench.administer(add(4))
    const second = bench.administer(add(5))
    assert.strictEqual(bench.node.log.last, index(2))
    bench.persist().deliver(accepted(2, 2, 2)).persist().deliver(accepted(2, 2, 3))
    assert.deepStrictEqual([...failed(first), ...failed(second)], ["Admitted", "Admitted"])
  })

  it("of a leader that is cut off is never committed, and its caller learns that in time (M11)", () => {
    const bench = new Bench({ membership: cluster(5) }).lead().deliver(accepted(2, 2, 1), accepted(3, 2, 1))
    const soon = bench.administer(add(6), 300)
    const queued = bench.administer(add(7), 300)
    bench.elapse(200).deliver(beat).elapse(200).deliver(beat)
    assert.deepStrictEqual([...failed(soon), ...failed(queued)], ["OutcomeUnknown", "DeadlineExceeded"])
    for (let i = 0; i < 12; i++) bench.elapse(100).deliver(beat)
    assert.strictEqual(bench.node.role, "Follower")
    bench.deliver(append(2, 3, [2, 1], [put(3, 2)])).persist()
    assert.lengthOf(bench.node.membership.members, 5)
  })

  it("that was under way when the leader stepped down is unknown; one that waited is asked of the next", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1))
    const first = bench.administer(add(4))
    const second = bench.administer(add(5))
    bench.deliver(accepted(3, 3, 0))
    assert.deepStrictEqual([failed(first), failed(second)], [["OutcomeUnknown"], []])
    bench.take("AdminRequest")
    bench.deliver(append(3, 3, [0, 0])).persist()
    assert.deepStrictEqual(bench.take("AdminRequest").map(({ message }) => message.command), [add(5)])
  })
})
