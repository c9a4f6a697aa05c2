import { assert, describe, it } from "@effect/vitest"
import { Shutdown } from "../../src/DistKvError.ts"
import { settleAll } from "../../src/node/Ending.ts"
import { index } from "../rules/Logs.ts"
import { accepted, addLearner, append, Bench, olderCluster } from "./Bench.ts"

const tags = (ends: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  ends.map((end) => end.error?._tag ?? end._tag)

describe("a node that stops", () => {
  it("answers what no role has read, and what was carried over or left in the middle of a batch", () => {
    const bench = new Bench()
    const [unread, unreadEnds] = bench.write("a")
    const [carried, carriedEnds] = bench.write("b")
    const [left, leftEnds] = bench.write("c")
    const [change, changeEnds] = bench.order(addLearner(4))
    bench.node.carry = [carried]
    bench.node.batch = [left]
    settleAll(bench.node, [unread, change], new Shutdown())
    for (const ends of [unreadEnds, carriedEnds, leftEnds, changeEnds]) assert.deepStrictEqual(tags(ends), ["Shutdown"])
    assert.deepStrictEqual([bench.node.writes.count, bench.node.writes.bytes], [0, 0])
  })

  it("says no only of what can be in no log, and answers nobody twice", () => {
    const bench = new Bench().lead([2])
    const [message, logged] = bench.write("a")
    bench.deliver(message)
    bench.node.batch = [message]
    const read = bench.read()
    settleAll(bench.node, [], new Shutdown())
    assert.deepStrictEqual([tags(logged), read.length], [["OutcomeUnknown"], 1])
    bench.deliver(accepted(2, 2, 2)).persist()
    assert.deepStrictEqual([logged.length, read.length], [1, 1])
  })

  it("does not know what became of what it has passed on", () => {
    const bench = new Bench({ membership: olderCluster(3) }).deliver(append(2, 1, [0, 0]))
    const write = bench.propose("a")
    const change = bench.administer(addLearner(4))
    settleAll(bench.node, [], new Shutdown())
    assert.deepStrictEqual([...tags(write), ...tags(change)], ["OutcomeUnknown", "OutcomeUnknown"])
    assert.strictEqual(bench.node.log.last, index(0))
  })
})
