/** How a leader treats those who leave, and how a node takes it that it is refused (thesis §4.2.2, §4.2.3). */
import { assert, describe, it } from "@effect/vitest"
import type { Address } from "../../src/domain/Identity.ts"
import { findMember, type Membership, voterIds } from "../../src/domain/Membership.ts"
import type { AdminCommand } from "../../src/domain/PeerMessage.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id, nodes } from "../rules/Voters.ts"
import {
  accepted,
  append,
  Bench,
  cluster,
  configure,
  electionTimeout,
  peer,
  rejected,
  vote,
  voteRequest
} from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const
const remove = (n: number, force = false): AdminCommand => ({ _tag: "RemoveMember", id: id(n), force })
const tags = (ends: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  ends.map((end) => end.error?._tag ?? end._tag)

/** A leader of three whose first entry is committed. */
const leading = () => new Bench().lead([2]).deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))

const without = (n: number): Membership => {
  const { members, ...rest } = cluster(3)
  const [gone] = members.filter((member) => member.id === id(n))
  return {
    ...rest,
    members: members.filter((member) => member.id !== id(n)),
    tombstones: [{ id: id(n), publicKey: gone!.publicKey }]
  }
}

describe("a member that is being removed", () => {
  it("counts no more at once, but gets the log until it was told of the commitment", () => {
    const bench = leading()
    const ends = bench.administer(remove(3))
    assert.deepStrictEqual(voterIds(bench.node.membership), nodes(2))
    assert.include(bench.take("AppendRequest").map(({ to }) => to), id(3), "it gets the entry by which it goes")
    bench.persist().deliver(accepted(3, 2, 2, 1))
    assert.deepStrictEqual([bench.node.commit, tags(ends)], [index(1), []], "its word does not count")
    bench.deliver(accepted(2, 2, 2, 1))
    assert.deepStrictEqual([bench.node.commit, tags(ends)], [index(2), ["Removed"]])
    const told = bench.take("AppendRequest").filter(({ to }) => to === id(3)).map(({ message }) => message.committed)
    assert.deepStrictEqual(told, [index(2)], "and hears that it is gone")
    bench.elapse(100).deliver(beat)
    assert.notInclude(bench.take("AppendRequest").map(({ to }) => to), id(3), "then nothing more")
  })

  it("is listened to until then, and not afterwards", () => {
    const bench = leading()
    bench.administer(remove(3))
    bench.deliver(accepted(3, 9, 0))
    assert.strictEqual(bench.node.role, "Follower", "a higher term deposes, whoever says it")
    const again = leading()
    again.administer(remove(3))
    again.persist().deliver(accepted(2, 2, 2, 1)).deliver(accepted(3, 9, 0))
    assert.strictEqual(again.node.role, "Leader")
  })
})

describe("a leader that shall go", () => {
  it("hands over first, and its successor is asked", () => {
    const bench = leading()
    const ends = bench.administer(remove(1))
    assert.lengthOf(bench.take("TimeoutNow"), 1)
    assert.lengthOf(bench.node.membership.members, 3, "nothing is changed yet")
    bench.deliver(voteRequest(2, 3, [2, 1], { transfer: true })).persist().deliver(append(2, 3, [2, 1])).persist()
    assert.deepStrictEqual(bench.take("AdminRequest").map(({ message }) => message.command), [remove(1)])
    assert.deepStrictEqual(ends, [])
  })

  it("commits its leaving without counting itself where nobody takes over, holds writes, and resigns (M06)", () => {
    const bench = leading()
    const ends = bench.administer(remove(1))
    for (let i = 2; i < 14; i++) {
      bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    }
    assert.deepStrictEqual(voterIds(bench.node.membership), [id(2), id(3)])
    const held = bench.propose("late")
    assert.strictEqual(bench.node.log.last, index(2))
    bench.persist().deliver(accepted(2, 2, 2, 13))
    assert.strictEqual(bench.node.commit, index(1), "one of the two others is no majority, whatever this disk holds")
    bench.take("TimeoutNow")
    bench.deliver(accepted(3, 2, 2, 13))
    assert.deepStrictEqual([bench.node.commit, bench.node.role, tags(ends)], [index(2), "Follower", ["Removed"]])
    assert.lengthOf(bench.take("TimeoutNow"), 1)
    assert.deepStrictEqual([bench.saved, held], [["removed"], []])
    bench.elapse(10 * electionTimeout).deliver({ _tag: "ElectionDue" })
    assert.strictEqual(bench.node.role, "Follower", "and never campaigns again")
  })

  // fails-with: half-is-a-majority
  it("may have to be elected once more to commit its leaving, with the votes of the others only (M07)", () => {
    const bench = new Bench({ membership: cluster(3), log: [1], term: 1 })
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, without(1))])).persist()
    assert.isFalse(bench.node.isVoter)
    bench.elapse(2 * electionTimeout).deliver({ _tag: "ElectionDue" })
    bench.deliver(vote(2, 2, true, true), vote(3, 2, true, true)).persist().deliver(vote(2, 2))
    assert.strictEqual(bench.node.role, "Candidate", "its own vote is none")
    bench.deliver(vote(3, 2))
    assert.strictEqual(bench.node.role, "Leader")
  })
})

describe("a removed member", () => {
  it("sends its callers' writes nowhere, however often it is told", () => {
    const bench = new Bench({ membership: cluster(3), log: [1], term: 1 })
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, without(1))], 2)).persist()
    assert.deepStrictEqual(bench.saved, ["removed"])
    bench.unreachable.add(id(2))
    const ends = bench.propose("k", 200)
    bench.read(200)
    for (let times = 0; times < 5; times++) {
      bench.deliver(peer(2, {
        _tag: "Refused",
        term: term(0),
        reason: "removed",
        lost: { term: term(0), index: index(0) }
      }))
    }
    assert.strictEqual(bench.refused, 0)
    bench.elapse(300).deliver({ _tag: "SweepDue" })
    assert.lengthOf(ends, 1, "they end with their deadlines")
  })
})

describe("a promotion by order", () => {
  const learner = () => new Bench({ membership: cluster(3, 1) }).lead([2]).deliver(accepted(2, 2, 1), accepted(3, 2, 1))
  const promote = (force: boolean): AdminCommand => ({ _tag: "PromoteMember", id: id(4), force })

  it("waits until the learner has caught up, and is refused with the reason at its deadline", () => {
    const bench = learner()
    const ends = bench.administer(promote(false), 450)
    for (let i = 2; i < 8; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    assert.deepStrictEqual(tags(ends), ["MembershipRejected"])
    assert.match(JSON.stringify(ends), /n4/)
    assert.strictEqual(findMember(bench.node.membership, id(4))?.standing, "learner")
  })

  it("is made at once by force", () => {
    const bench = learner()
    bench.administer(promote(true))
    assert.strictEqual(findMember(bench.node.membership, id(4))?.standing, "voter")
  })
})

describe("where a member is", () => {
  it("is what it says itself, of which the leader takes note; an operator is not believed about one that is connected", () => {
    const bench = leading()
    bench.introduced.set(id(2), { address: "there:9" as Address, http: "http://there" })
    bench.elapse(100).deliver(beat)
    const moved = findMember(bench.node.membership, id(2))
    assert.deepStrictEqual([moved?.address as string, moved?.http], ["there:9", "http://there"])
    bench.persist().deliver(accepted(3, 2, 2, 2))
    const ends = bench.administer({ _tag: "UpdateAddress", id: id(2), address: "else:1" as Address })
    assert.deepStrictEqual(tags(ends), ["MembershipRejected"])
    bench.administer({ _tag: "UpdateAddress", id: id(3), address: "else:1" as Address })
    assert.strictEqual(String(findMember(bench.node.membership, id(3))?.address), "else:1")
  })
})

describe("a refusal", () => {
  const rolledBack = (termOf: number, lost: readonly [number, number]) =>
    peer(2, {
      _tag: "Refused",
      term: term(termOf),
      reason: "rolledBack",
      lost: { term: term(lost[0]), index: index(lost[1]) }
    })

  it("as rolled back is believed only of this term, and of an entry that is not there", () => {
    const bench = new Bench({ log: [1, 1], term: 1 })
    bench.deliver(rolledBack(1, [1, 2]), rolledBack(2, [1, 3]), rolledBack(0, [1, 3]))
    assert.deepStrictEqual([bench.saved, bench.node.belonging.refused], [[], null])
    bench.deliver(rolledBack(1, [1, 3]))
    assert.deepStrictEqual([bench.saved, bench.node.belonging.refused], [["rolledBack"], "rolledBack"])
  })

  it("ends voting, following and campaigning, and is said once", () => {
    const bench = new Bench({ log: [1, 1], term: 1 }).deliver(rolledBack(1, [1, 3]))
    bench.deliver(append(2, 1, [1, 2]), voteRequest(3, 5, [4, 9]), voteRequest(3, 5, [4, 9], { preVote: true }))
    bench.persist().elapse(10 * electionTimeout).deliver({ _tag: "ElectionDue" }).deliver(rolledBack(1, [1, 3]))
    assert.deepStrictEqual([...bench.take("VoteReply"), ...bench.take("AppendReply")], [])
    assert.deepStrictEqual([bench.node.term, bench.node.role], [term(1), "Follower"])
    assert.deepStrictEqual(bench.saved, ["rolledBack"])
  })

  it("keeps back a vote that was not durable yet when it came", () => {
    const bench = new Bench({ log: [1, 1], term: 1 }).deliver(voteRequest(3, 2, [1, 2]))
    bench.deliver(rolledBack(2, [1, 3])).persist()
    assert.deepStrictEqual([bench.take("VoteReply"), bench.saved], [[], ["rolledBack"]])
  })

  // fails-with: believes-who-forgot
  it("is told by the leader with every heartbeat to a follower that lacks what it acknowledged (D09)", () => {
    const bench = leading()
    bench.propose("a")
    bench.persist().deliver(accepted(2, 2, 2, 1), accepted(3, 2, 2, 1)).elapse(100).deliver(beat)
    bench.take("AppendRequest")
    bench.deliver(rejected(3, 2, 2, [1, 0], 2)).elapse(100).deliver(beat)
    const told = bench.take("Refused")
    assert.deepStrictEqual(told.map(({ to, message }) => [to, message.reason, message.lost.index]), [
      [id(3), "rolledBack", index(2)]
    ])
  })
})
