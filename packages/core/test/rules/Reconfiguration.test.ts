import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Address, Incarnation, NodeId, PublicKey } from "../../src/domain/Identity.ts"
import type { Member } from "../../src/domain/Membership.ts"
import { findMember, Membership, voterIds } from "../../src/domain/Membership.ts"
import { isQuorum } from "../../src/rules/Quorum.ts"
import type { Applicant, Change, Liveness } from "../../src/rules/Reconfiguration.ts"
import { admit, bind, demote, founding, promote, relocate, remove } from "../../src/rules/Reconfiguration.ts"
import { NaiveCluster, Step } from "./NaiveCluster.ts"
import { member, membership, node, nodes, subsets } from "./Voters.ts"

const incarnation = (n: number): Incarnation => String(n).repeat(32) as Incarnation
const keyOf = (n: number): PublicKey => `ssh-ed25519 key${n}` as PublicKey

const applicant = (fields: Partial<Applicant> = {}): Applicant => ({
  id: node(9),
  incarnation: incarnation(1),
  publicKey: keyOf(9),
  address: "host:1" as Address,
  http: null,
  learner: false,
  ...fields
})

const everybody: Liveness = { isLive: () => true, force: false }
const nobody: Liveness = { isLive: () => false, force: false }

const after = (change: Change): Membership => {
  assert.strictEqual(change._tag, "Change", JSON.stringify(change))
  return change._tag === "Change" ? change.membership : membership([])
}

const isRefused = (change: Change, reason: RegExp, final: boolean): boolean =>
  change._tag === "Refused" && reason.test(change.reason) && change.final === final

const quorums = (config: Membership) =>
  subsets(config.members.map((one) => one.id)).filter((set) => isQuorum(config, (id) => set.has(id)))

const isSafeStep = (before: Membership, next: Membership): void => {
  const [old, fresh] = [voterIds(before), voterIds(next)]
  const changed = [...old.filter((id) => !fresh.includes(id)), ...fresh.filter((id) => !old.includes(id))]
  assert.isAtMost(changed.length, 1, "at most one voter changes")
  for (const one of quorums(before)) {
    for (const other of quorums(next)) assert.isTrue([...one].some((id) => other.has(id)), "no common voter")
  }
}

const isWellFormed = (config: Membership): void => {
  assert.isTrue(Schema.is(Membership)(config))
  const ids = config.members.map((one) => one.id)
  assert.deepStrictEqual(ids, [...new Set(ids)].sort(), "sorted by id, each once")
  assert.strictEqual(new Set(config.members.map((one) => one.publicKey)).size, ids.length, "each key once")
}

const changeOf = (config: Membership, step: typeof Step.Type): Change => {
  const id = node(step.id)
  switch (step._tag) {
    case "Admit":
      return admit(config, {
        ...applicant(),
        id,
        incarnation: step.incarnation === null ? null : incarnation(step.incarnation),
        publicKey: keyOf(step.key),
        learner: step.learner
      })
    case "Bind":
      return bind(config, id, incarnation(step.incarnation))
    case "Promote":
      return promote(config, id, livenessOf(step))
    case "Demote":
      return demote(config, id, livenessOf(step))
    case "Remove":
      return remove(config, id, livenessOf(step))
    case "Relocate":
      return relocate(config, id, { address: `host:${step.port}` as Address })
  }
}

const livenessOf = ({ force, live }: { readonly live: number; readonly force: boolean }): Liveness => ({
  isLive: (one) => (live >> Number(one.slice(1))) % 2 === 1,
  force
})

const numbersOf = (ids: ReadonlyArray<NodeId>): ReadonlyArray<number> => sorted(ids.map((id) => Number(id.slice(1))))

const sorted = (numbers: Iterable<number>): ReadonlyArray<number> => [...numbers].sort((a, b) => a - b)

describe("changes of the membership", () => {
  it.prop("keep it well-formed and change one voter at a time, so that quorums always meet", [Schema.Array(Step)], (
    [steps]
  ) => {
    const { standing: _, ...founder } = { ...member(node(0)), incarnation: incarnation(0), publicKey: keyOf(0) }
    let config = founding(founder)
    for (const step of steps) {
      const change = changeOf(config, step)
      if (change._tag !== "Change") continue
      isWellFormed(change.membership)
      isSafeStep(config, change.membership)
      for (const old of config.members) {
        const kept = findMember(change.membership, old.id)
        if (step._tag === "Remove" && node(step.id) === old.id) assert.isUndefined(kept)
        else assert.strictEqual(kept?.publicKey, old.publicKey, "nobody else vanishes, and a key stays its member's")
      }
      assert.includeDeepMembers([...change.membership.tombstones], [...config.tombstones], "the gone stay gone")
      config = change.membership
    }
  }, { arbitrary: { runs: 400, size: 25 } })
})

describe("the rules, held against the words of the contract", () => {
  it.prop("the same steps are allowed and lead to the same voters, learners and removed ones", [Schema.Array(Step)], (
    [steps]
  ) => {
    const { standing: _, ...founder } = { ...member(node(0)), incarnation: incarnation(0), publicKey: keyOf(0) }
    let config = founding(founder)
    const naive = new NaiveCluster()
    for (const step of steps) {
      // To bind is the program's own; what it does to a member bound before, it never does.
      if (step._tag === "Bind" || step._tag === "Relocate") continue
      // A demotion also takes back the wish to be promoted, which the naive cluster does not know of.
      const isJoining = findMember(config, node(step.id))?.standing === "joining"
      const change = changeOf(config, step)
      const verdict = naive.step(step)
      if (step._tag === "Demote" && isJoining) assert.strictEqual(change._tag, "Change")
      else {
        assert.strictEqual(
          change._tag === "Refused" || change._tag === "Unknown" ? "No" : change._tag,
          verdict,
          JSON.stringify([step, change])
        )
      }
      if (change._tag === "Change") config = change.membership
      assert.deepStrictEqual(numbersOf(voterIds(config)), sorted(naive.voters))
      const others = config.members.filter((one) => one.standing !== "voter").map((one) => one.id)
      assert.deepStrictEqual(numbersOf(others), sorted(naive.learners))
      assert.deepStrictEqual(numbersOf(config.tombstones.map((gone) => gone.id)), sorted(naive.gone))
    }
  }, { arbitrary: { runs: 400, size: 40 } })
})

describe("an applicant", () => {
  const config = membership(nodes(3))

  it("comes in as a learner that will be promoted, or that asked not to be", () => {
    assert.strictEqual(findMember(after(admit(config, applicant())), node(9))?.standing, "joining")
    const asked = after(admit(config, applicant({ learner: true })))
    const expected: Member = {
      id: node(9),
      incarnation: incarnation(1),
      publicKey: keyOf(9),
      address: "host:1" as Address,
      http: null,
      standing: "learner"
    }
    assert.deepStrictEqual(findMember(asked, node(9)), expected)
    assert.deepStrictEqual(voterIds(asked), nodes(3))
  })

  it("that comes again with the same id, key and incarnation is the same member", () => {
    const next = after(admit(config, applicant()))
    assert.strictEqual(admit(next, applicant({ address: "other:2" as Address }))._tag, "Already")
    assert.strictEqual(admit(next, applicant({ incarnation: null }))._tag, "Already")
  })

  it("is refused for good under another's id, key or data directory", () => {
    const next = after(admit(config, applicant()))
    assert.isTrue(isRefused(admit(next, applicant({ publicKey: keyOf(8) })), /another key/, true))
    assert.isTrue(isRefused(admit(next, applicant({ id: node(8) })), /belongs to the member n9/, true))
    assert.isTrue(isRefused(admit(next, applicant({ incarnation: incarnation(2) })), /another data directory/, true))
  })

  it("is refused for good when it was removed, under its id as under its key", () => {
    const gone = { ...config, tombstones: [{ id: node(9), publicKey: keyOf(9) }] }
    assert.isTrue(isRefused(admit(gone, applicant({ publicKey: keyOf(8) })), /was removed/, true))
    assert.isTrue(isRefused(admit(gone, applicant({ id: node(8) })), /removed member/, true))
    assert.strictEqual(admit(gone, applicant({ id: node(8), publicKey: keyOf(8) }))._tag, "Change")
  })

  it("that an operator added is bound to its incarnation by the first contact, and to no other afterwards", () => {
    const added = after(admit(config, applicant({ incarnation: null })))
    assert.isNull(findMember(added, node(9))?.incarnation)
    const bound = after(admit(added, applicant()))
    assert.strictEqual(findMember(bound, node(9))?.incarnation, incarnation(1))
    assert.isTrue(isRefused(admit(bound, applicant({ incarnation: incarnation(2) })), /another data directory/, true))
  })
})

describe("a promotion", () => {
  it("is refused, for now, exactly when the live voters would be no quorum with it", () => {
    for (let count = 1; count <= 4; count++) {
      const voters = nodes(count)
      const config = membership(voters, [node(9)])
      for (const live of subsets([...voters, node(9)])) {
        const change = promote(config, node(9), { isLive: (id) => live.has(id), force: false })
        const next = membership([...voters, node(9)])
        if (isQuorum(next, (id) => live.has(id))) assert.deepStrictEqual(voterIds(after(change)), voterIds(next))
        else assert.isTrue(isRefused(change, /no quorum/, false))
      }
    }
  })

  it("of a stranger is of nobody", () => {
    assert.strictEqual(promote(membership(nodes(3)), node(9), everybody)._tag, "Unknown")
    assert.strictEqual(bind(membership(nodes(3)), node(9), incarnation(1))._tag, "Unknown")
  })
})

describe("a removal", () => {
  it("is refused, for now, exactly when the live voters would be no quorum without it; by force it is not (M05)", () => {
    for (let count = 2; count <= 5; count++) {
      const voters = nodes(count)
      const config = membership(voters, [node(9)])
      for (const live of subsets(voters)) {
        const isLive = (id: NodeId) => live.has(id)
        const next = membership(voters.slice(1), [node(9)])
        for (const take of [remove, demote]) {
          const change = take(config, node(1), { isLive, force: false })
          if (isQuorum(next, isLive)) assert.deepStrictEqual(voterIds(after(change)), voterIds(next))
          else assert.isTrue(isRefused(change, /no quorum/, false))
          assert.deepStrictEqual(voterIds(after(take(config, node(1), { isLive, force: true }))), voterIds(next))
        }
      }
    }
  })

  it("leaves the id and the key behind, for good", () => {
    const config = after(remove(membership(nodes(3)), node(3), everybody))
    assert.deepStrictEqual(config.tombstones, [{ id: node(3), publicKey: member(node(3)).publicKey }])
    const { publicKey } = member(node(3))
    assert.isTrue(isRefused(admit(config, applicant({ id: node(3) })), /was removed/, true))
    assert.isTrue(isRefused(admit(config, applicant({ publicKey })), /removed member/, true))
    assert.deepStrictEqual(remove(config, node(3), nobody), { _tag: "Already", member: null })
    assert.strictEqual(remove(config, node(7), everybody)._tag, "Unknown")
  })

  it("of the last voter is refused for good, also by force; that of a learner never needs a quorum", () => {
    const config = membership(nodes(1), [node(9)])
    for (const take of [remove, demote]) {
      assert.isTrue(isRefused(take(config, node(1), { ...everybody, force: true }), /no voter/, true))
    }
    assert.deepStrictEqual(voterIds(after(remove(config, node(9), nobody))), nodes(1))
  })

  it("makes the membership grow by a tombstone each, until nobody more is admitted", () => {
    const key = `ssh-rsa ${"x".repeat(700)}` as PublicKey
    const gone = Array.from({ length: 1200 }, (_, i) => ({ id: node(i + 10), publicKey: key }))
    const few = { ...membership(nodes(3)), tombstones: gone.slice(0, 1000) }
    assert.strictEqual(admit(few, applicant())._tag, "Change")
    const many = { ...membership(nodes(3)), tombstones: gone.concat(gone) }
    assert.isTrue(isRefused(admit(many, applicant()), /too many/, true))
  })
})

describe("an address", () => {
  it("is changed where it is another, and nothing else with it", () => {
    const config = membership(nodes(3))
    const moved = after(relocate(config, node(2), { address: "there:9" as Address }))
    assert.deepStrictEqual(findMember(moved, node(2)), { ...member(node(2)), address: "there:9" as Address })
    assert.strictEqual(relocate(moved, node(2), { address: "there:9" as Address })._tag, "Already")
    assert.strictEqual(relocate(config, node(7), { address: "there:9" as Address })._tag, "Unknown")
  })
})
