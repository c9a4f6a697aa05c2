import { assert, describe, it } from "@effect/vitest"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { append, Bench, cluster, configure, electionTimeout, olderCluster, peer, put, putRecord } from "./Bench.ts"

const acks = (bench: Bench) =>
  bench.take("AppendReply").map(({ message }) => [message.matched, message.index as number] as const)

describe("a follower", () => {
  it("removes nothing for old, repeated or empty appends (R04)", () => {
    const bench = new Bench({ log: [1], term: 1 })
    bench.deliver(append(2, 1, [1, 1], [put(1, 2), put(1, 3), put(1, 4), put(1, 5)])).persist()
    const old = [append(2, 1, [1, 1], [put(1, 2), put(1, 3)]), append(2, 1, [1, 3]), append(2, 1, [1, 1], [put(1, 2)])]
    for (const message of [...old, ...old.toReversed()]) bench.deliver(message)
    assert.strictEqual(bench.node.log.last, index(5))
    assert.strictEqual(bench.node.durable.index, index(5))
  })

  it("acknowledges only what the leader has sent or is known to hold (R05)", () => {
    const bench = new Bench({ log: [1, 1, 1, 2, 2, 2], term: 2 })
    bench.deliver(append(2, 3, [1, 2], [put(1, 3)], 6)).persist()
    assert.deepStrictEqual(acks(bench), [[true, 3]])
    assert.strictEqual(bench.node.commit, index(3), "what lies beyond was not compared")
  })

  it("acknowledges no more for an empty append than what is durable (R06)", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [put(1, 2)]))
    bench.deliver(append(2, 1, [1, 2]))
    assert.deepStrictEqual(acks(bench), [[true, 1], [true, 1]])
    bench.persist()
    assert.deepStrictEqual(acks(bench), [[true, 2]])
  })

  it("answers new entries once, when they are durable, but a new round of contact at once", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    assert.deepStrictEqual(acks(bench), [[true, 1]])
    bench.deliver(append(2, 1, [1, 1], [put(1, 2)])).deliver(append(2, 1, [1, 2], [put(1, 3)]))
    assert.deepStrictEqual(acks(bench), [])
    bench.persist(true)
    assert.deepStrictEqual(acks(bench), [[true, 3]])
    bench.deliver(append(2, 1, [1, 3], [put(1, 4)], 0, 2))
    assert.deepStrictEqual(acks(bench), [[true, 3]])
    bench.persist()
    assert.deepStrictEqual(acks(bench), [[true, 4]])
    // Its answer may be lost, so whatever comes again is answered again.
    bench.deliver(append(2, 1, [1, 3], [put(1, 4)], 0, 2))
    assert.deepStrictEqual(acks(bench), [[true, 4]])
  })

  it("takes no late completion for what has replaced its entries", () => {
    for (const together of [false, true]) {
      const bench = new Bench({ log: [1], term: 1 })
      bench.deliver(append(2, 2, [1, 1], [put(2, 2), put(2, 3), put(2, 4)]))
      bench.deliver(append(3, 3, [1, 1], [put(3, 2)]))
      assert.strictEqual(bench.node.durable.index, index(1))
      bench.persist(together)
      assert.deepStrictEqual(acks(bench).at(-1), [true, 2])
      assert.strictEqual(bench.node.durable.index, index(2))
    }
  })

  // fails-with: durable-in-any-order
  it("takes no completion for an entry that comes, goes and comes again (R13)", () => {
    const bench = new Bench({ log: [1], term: 1 })
    bench.deliver(append(2, 2, [1, 1], [put(2, 2)]))
    bench.deliver(append(3, 3, [1, 1], [put(3, 2)]))
    bench.deliver(append(2, 4, [1, 1], [put(2, 2)]))
    // The disk is about to put the entry of term 3 over it.
    bench.persist(false, 1)
    assert.strictEqual(bench.node.durable.index, index(1))
    bench.persist(false, 1)
    assert.strictEqual(bench.node.durable.index, index(1))
    bench.persist()
    assert.strictEqual(bench.node.durable.index, index(2))
  })

  it("does not take the log of one leader for that of the next", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 2, [1, 1], [put(2, 2), put(2, 3)])).persist()
    acks(bench)
    bench.deliver(append(3, 3, [1, 1])).persist()
    assert.deepStrictEqual(acks(bench), [[true, 1]])
  })

  it("keeps its commit index when older ones come late (C10), and bounds them by what was compared (R11)", () => {
    const bench = new Bench({ log: [1, 1, 1], term: 1 }).deliver(append(2, 1, [1, 3], [], 3)).deliver(
      append(2, 1, [1, 3], [], 2)
    )
    assert.strictEqual(bench.node.commit, index(3))
    bench.deliver(append(2, 1, [1, 3], [put(1, 4)], 9))
    assert.strictEqual(bench.node.commit, index(4))
  })

  // fails-with: keeps-silent-to-the-deposed
  it("tells a leader of an older term that it is deposed (E10)", () => {
    const bench = new Bench({ log: [1], term: 5 }).deliver(append(2, 3, [1, 1], [put(3, 2)]))
    const [reply] = bench.take("AppendReply")
    assert.deepStrictEqual([reply?.to, reply?.message.term, reply?.message.matched], [id(2), term(5), false])
    assert.strictEqual(bench.node.log.last, index(1))
  })

  it("takes a membership back with the entry that brought it (M02)", () => {
    const bench = new Bench({ log: [1], term: 1 })
    bench.deliver(append(2, 2, [1, 1], [configure(2, 2, cluster(4))]))
    assert.lengthOf(bench.node.membership.members, 4)
    bench.deliver(append(3, 3, [1, 1], [put(3, 2)]))
    assert.lengthOf(bench.node.membership.members, 3)
    assert.isFalse(bench.node.memberships.isChanging)
  })

  it("sends no requests to a leader that it has not heard of for an election time-out", () => {
    const membership = cluster(3)
    const members = membership.members.map((one) => one.id === id(1) ? { ...one, standing: "learner" as const } : one)
    const bench = new Bench({ membership: { ...membership, members } }).deliver(append(2, 1, [0, 0]))
    bench.elapse(2 * electionTimeout).deliver({ _tag: "ElectionDue" })
    const ends = bench.propose("a", 1000)
    assert.lengthOf(bench.take("ForwardRequest"), 0)
    bench.elapse(1100).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(ends.map((end) => end._tag === "Failed" ? end.error._tag : end._tag), ["NoLeader"])
  })
})

/** Without sessions a write is forwarded again only where it is certain that it was not taken. */
const older = { membership: olderCluster(3) }

describe("requests passed on", () => {
  const applied = (requestId: number, indexOf: number) =>
    peer(
      2,
      {
        _tag: "ForwardReply",
        id: requestId,
        result: {
          _tag: "Applied",
          index: index(indexOf),
          outcome: { _tag: "Done", revision: 7 }
        }
      } as Parameters<typeof peer>[1]
    )

  it("are not answered by what an earlier start of the process asked for", () => {
    const before = new Bench({ ...older, random: [0.1, 0.2, 0.5] }).deliver(append(2, 1, [0, 0]))
    before.propose("a")
    const [lost] = before.take("ForwardRequest")
    const bench = new Bench({ ...older, random: [0.3, 0.4, 0.5] }).deliver(append(2, 1, [0, 0]))
    const write = bench.propose("b")
    const [asked] = bench.take("ForwardRequest")
    const read = bench.read()
    const [question] = bench.take("ReadIndexRequest")
    bench.deliver(applied(lost!.message.id, 0))
    bench.deliver(peer(2, { _tag: "ReadIndexReply", id: lost!.message.id + 1, index: index(0) }))
    assert.deepStrictEqual([write.length, read.length], [0, 0])
    bench.deliver(applied(asked!.message.id, 0))
    bench.deliver(peer(2, { _tag: "ReadIndexReply", id: question!.message.id, index: index(0) }))
    assert.deepStrictEqual([write.length, read.length], [1, 1])
  })

  it("wait for another turn when the link takes nothing, with one try for all", () => {
    const bench = new Bench(older).deliver(append(2, 1, [0, 0]))
    bench.unreachable.add(id(2))
    for (const key of ["a", "b", "c", "d"]) bench.propose(key)
    bench.refused = 0
    bench.deliver({ _tag: "SweepDue" })
    assert.strictEqual(bench.refused, 1)
    bench.unreachable.clear()
    bench.take("ForwardRequest")
    bench.deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(
      bench.take("ForwardRequest").map(({ message }) => message.record),
      ["a", "b", "c", "d"].map(putRecord)
    )
  })

  it("are answered only when this node has applied them too", () => {
    const bench = new Bench(older).deliver(append(2, 1, [0, 0]))
    const ends = bench.propose("a")
    const [asked] = bench.take("ForwardRequest")
    bench.deliver(applied(asked!.message.id, 1))
    assert.lengthOf(ends, 0)
    bench.deliver(append(2, 1, [0, 0], [put(1, 1, "a")], 1))
    assert.deepStrictEqual(ends.map((end) => end._tag), ["Applied"])
  })

  it("are unknown when the leader is gone, and tried again only when it says that it did nothing", () => {
    const bench = new Bench(older).deliver(append(2, 1, [0, 0]))
    const ends = bench.propose("a", 1000)
    const [asked] = bench.take("ForwardRequest")
    bench.deliver(peer(2, { _tag: "ForwardReply", id: asked!.message.id, result: { _tag: "NotLeader" } }))
    bench.deliver(append(2, 1, [0, 0]))
    const [again] = bench.take("ForwardRequest")
    assert.notStrictEqual(again!.message.id, asked!.message.id)
    // A repeated answer to the first try says nothing of the second.
    bench.deliver(peer(2, { _tag: "ForwardReply", id: asked!.message.id, result: { _tag: "NotLeader" } }))
    assert.lengthOf(bench.deliver(append(2, 1, [0, 0])).take("ForwardRequest"), 0)
    bench.elapse(1100).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(ends.map((end) => end._tag === "Failed" ? end.error._tag : end._tag), ["OutcomeUnknown"])
  })

  it("of a newcomer under a taken name are refused with a reason, not dropped", () => {
    const bench = new Bench().lead([2])
    const join = (over: { readonly from?: ReturnType<typeof id> } & Record<string, unknown>, request: number) => {
      const { envelope } = peer(
        3,
        {
          _tag: "AdminRequest",
          id: request,
          hops: 0,
          remainingMs: 1000,
          command: {
            _tag: "Join",
            id: over.from ?? id(3),
            incarnation: "f".repeat(32),
            publicKey: over["publicKey"] ?? "ssh-ed25519 n3",
            address: "x:1",
            http: null,
            learner: false
          }
        } as Parameters<typeof peer>[1],
        { incarnation: "f".repeat(32), clusterId: null, ...over } as never
      ) as never
      return { _tag: "Peer", envelope } as const
    }
    bench.deliver(
      peer(2, {
        _tag: "AppendReply",
        term: bench.node.term,
        matched: true,
        index: index(1),
        hint: { term: term(0), index: index(0) },
        round: 1
      })
    )
    bench.deliver(
      join({}, 1),
      join({ publicKey: "ssh-ed25519 other" }, 2),
      join({ from: id(1), publicKey: "ssh-ed25519 z" }, 3)
    )
    const answers = bench.take("AdminReply").map(({ message }) => message.result)
    assert.deepStrictEqual(
      answers.map((one) => one._tag === "Failed" && one.error._tag === "MembershipRejected" && one.error.final),
      [true, true, true]
    )
  })
})
