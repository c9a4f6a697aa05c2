import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Address, Incarnation, NodeId, PublicKey } from "../../src/domain/Identity.ts"
import type { Member } from "../../src/domain/Membership.ts"
import { findMember, Membership, voterIds } from "../../src/domain/Membership.ts"
import { isQuorum } from "../../src/rules/Quorum.ts"
import type { Applicant, Change } from "../../src/rules/Reconfiguration.ts"
import { admit, bind, founding, promote } from "../../src/rules/Reconfiguration.ts"
import { member, membership, node, nodes, subsets } from "./Voters.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Step = Schema.TaggedUnion({
  Admit: { id: natural(6), incarnation: Schema.NullOr(natural(2)), key: natural(6), learner: Schema.Boolean },
  Bind: { id: natural(6), incarnation: natural(2) },
  Promote: { id: natural(6), live: natural(127) }
})

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
      return promote(config, id, (one) => (step.live >> Number(one.slice(1))) % 2 === 1)
  }
}

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
        assert.strictEqual(kept?.publicKey, old.publicKey, "nobody vanishes, and a key stays its member's")
        if (old.standing === "voter") assert.strictEqual(kept?.standing, "voter")
      }
      config = change.membership
    }
  }, { arbitrary: { runs: 400, size: 25 } })
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
        const change = promote(config, node(9), (id: NodeId) => live.has(id))
        const next = membership([...voters, node(9)])
        if (isQuorum(next, (id) => live.has(id))) assert.deepStrictEqual(voterIds(after(change)), voterIds(next))
        else assert.isTrue(isRefused(change, /no quorum/, false))
      }
    }
  })

  it("of a stranger is refused", () => {
    assert.isTrue(isRefused(promote(membership(nodes(3)), node(9), () => true), /no member/, true))
    assert.isTrue(isRefused(bind(membership(nodes(3)), node(9), incarnation(1)), /no member/, true))
  })
})
