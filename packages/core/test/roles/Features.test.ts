/** A cluster whose members run programs of different ages: what is new waits until everybody knows it. */
import { assert, describe, it } from "@effect/vitest"
import { feature, flawOfFeatures, missingFeatures, ownFeatures } from "../../src/domain/Features.ts"
import { jsonText } from "../../src/domain/JsonText.ts"
import { Membership } from "../../src/domain/Membership.ts"
import { hasFeature } from "../../src/domain/Membership.ts"
import { member, node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, configure, peer } from "./Bench.ts"

/** A cluster as the first release founded it. */
const older = (voters: number): Membership => {
  const { members, outgoing, tombstones } = cluster(voters)
  return { members, tombstones, outgoing }
}

/** A leader of term 2 whose first entry is committed; `n3` announces what `features` says. */
const leading = (features: number | null): Bench => {
  const bench = new Bench({ membership: older(3), log: [1], term: 1 })
  bench.features.set(id(3), features)
  bench.lead()
  const { last } = bench.node.log
  return bench.deliver(accepted(2, 2, last), accepted(3, 2, last)).elapse(100)
}

const beat = (bench: Bench): Bench => bench.deliver({ _tag: "HeartbeatDue" })

describe("features", () => {
  it("are raised by a config entry once every member has announced them", () => {
    const bench = beat(leading(ownFeatures))
    assert.strictEqual(bench.node.membership.features, ownFeatures)
    assert.isTrue(hasFeature(bench.node.membership, "sessions"))
    const { last } = bench.node.log
    beat(bench.persist().deliver(accepted(2, 2, last)).elapse(100))
    assert.strictEqual(bench.node.log.last, last, "and not a second time")
  })

  it("wait for a member that runs an older program, or was never met", () => {
    for (const features of [0, null]) {
      const bench = beat(leading(features))
      assert.strictEqual(bench.node.membership.features, undefined)
      assert.strictEqual(bench.node.log.last, 2)
      bench.features.set(id(3), feature.sessions)
      beat(bench.elapse(100))
      assert.strictEqual(bench.node.membership.features, feature.sessions, "what all have, and no more")
    }
  })

  it("are gone again when their entry is truncated", () => {
    const bench = new Bench({ membership: older(3), log: [1], term: 1 })
    const raised = { ...older(3), features: ownFeatures }
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, raised)]))
    assert.isTrue(hasFeature(bench.node.membership, "sessions"))
    bench.deliver(append(3, 2, [1, 1], [configure(2, 2, older(3))]))
    assert.isFalse(hasFeature(bench.node.membership, "sessions"))
  })

  it("keep a program that lacks one from taking part, and say which", () => {
    const bench = new Bench({ membership: older(3), log: [1], term: 1 })
    const beyond = { ...older(3), features: ownFeatures | 2 ** 29 }
    assert.throws(() => bench.deliver(append(2, 1, [1, 1], [configure(1, 2, beyond)])), /too old.*0x20000000/u)
    assert.deepStrictEqual(missingFeatures(ownFeatures, 0), Object.keys(feature))
    assert.isNull(flawOfFeatures(ownFeatures))
  })

  it("are asked of a node that wants to join", () => {
    const bench = new Bench({ membership: cluster(3), log: [1], term: 1 })
    const { address, publicKey } = member(id(4))
    const incarnation = "4".repeat(32) as NonNullable<Membership["members"][number]["incarnation"]>
    const command = { _tag: "Join" as const, id: id(4), incarnation, publicKey, address, http: null, learner: false }
    const ask = (features: number | undefined) => {
      const message = { _tag: "AdminRequest" as const, id: 1, hops: 0, remainingMs: 1000, command }
      bench.deliver(peer(4, message, { incarnation, publicKey, clusterId: null, features }))
      return bench.take("AdminReply").map(({ message: { result } }) => result)
    }
    const [refused] = ask(0)
    assert.strictEqual(refused?._tag, "Failed")
    assert.match(refused?._tag === "Failed" ? refused.error.message : "", /too old.*sessions/u)
    assert.deepStrictEqual(ask(ownFeatures), [])
    assert.strictEqual(bench.node.waitingAdmin.length, 1)
  })

  it("leave the text of a membership without them as the first release wrote it", () => {
    const text = jsonText(Membership)
    const written = text.encode(older(1))
    assert.notInclude(written, "features")
    assert.deepStrictEqual(text.decode(written), older(1))
    assert.deepStrictEqual(text.decode(text.encode(cluster(1))), cluster(1))
  })
})
