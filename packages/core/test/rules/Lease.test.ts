import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ContactRounds } from "../../src/rules/ContactRounds.ts"
import { leaseUntil, promisedUntil } from "../../src/rules/Lease.ts"
import { isQuorum } from "../../src/rules/Quorum.ts"
import { membership, node, nodes, subsets, vectors } from "./Voters.ts"

describe("a leader's lease", () => {
  it("lasts exactly as long as every quorum that could elect another has a voter that withholds its vote", () => {
    const memberships = [
      ...[1, 2, 3, 4, 5].map((voters) => membership(nodes(voters), [node(6), node(7)])),
      membership(nodes(3), [], [node(1), node(3), node(4)])
    ]
    for (const config of memberships) {
      const voters = nodes(5)
      for (const ends of vectors(5, 2)) {
        const until = (id: string) => id === node(6) ? 9 : ends[voters.indexOf(id as never)] ?? 9
        const end = leaseUntil(config, until)
        const quorums = subsets(nodes(7)).filter((all) => isQuorum(config, (id) => all.has(id)))
        // The first moment at which some quorum is free to elect another leader.
        const free = Math.min(...quorums.map((all) => Math.max(...[...all].filter(isVoterOf(config)).map(until))))
        assert.isAtMost(end, free, `${ends.join()} of ${config.members.length}`)
      }
    }
  })

  it("counts no learner and nobody who promises nothing", () => {
    const config = membership(nodes(3), [node(4), node(5)])
    const until = (withholdsMs: number) => (id: string) =>
      id === node(1)
        ? Number.POSITIVE_INFINITY
        : id === node(2) || id === node(3)
        ? promisedUntil({ heardAt: 1000, withholdsMs }, 0)
        : Number.POSITIVE_INFINITY
    assert.strictEqual(leaseUntil(config, until(300)), 1300)
    assert.strictEqual(leaseUntil(config, until(0)), Number.NEGATIVE_INFINITY)
  })

  it("is shorter by the bound on the drift of clocks", () => {
    assert.strictEqual(promisedUntil({ heardAt: 1000, withholdsMs: 300 }, 0.5), 1200)
  })

  it.prop("never outlasts a promise on the voter's clock, for any clocks within the bound", [
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))
  ], ([drift, part, withholdsMs]) => {
    // The voter's clock runs faster than the leader's by any part of what is allowed.
    const rate = 1 + drift * part
    const leader = promisedUntil({ heardAt: 0, withholdsMs }, drift)
    assert.isAtMost(leader * rate, withholdsMs * (1 + 1e-12))
  })
})

const isVoterOf = (config: ReturnType<typeof membership>) => (id: string): boolean =>
  config.members.some((one) => one.id === id && one.standing === "voter") ||
  (config.outgoing?.some((one) => one === id) ?? false)

describe("the beginnings of rounds", () => {
  it.prop("are remembered never too late, and to within the grain, however many rounds there were", [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })))
  ], ([pauses]) => {
    const rounds = new ContactRounds(10)
    const began: Array<number> = []
    let now = 0
    for (const pause of pauses) {
      // Many rounds in no time at all: as with thousands of reads a second.
      for (let n = 0; n < (pause === 0 ? 500 : 1); n++) {
        began.push(now)
        rounds.begin(began.length, now)
      }
      now += pause
    }
    began.forEach((at, i) => {
      const said = rounds.beganBy(i + 1)
      if (now - at > 250 * 10) return
      assert.isAtMost(said, at)
      assert.isAbove(said, at - 10)
    })
  }, { arbitrary: { runs: 300, size: 60 } })

  it("are forgotten after a while, and then prove nothing", () => {
    const rounds = new ContactRounds(1)
    for (let round = 1; round <= 300; round++) rounds.begin(round, 10 * round)
    assert.strictEqual(rounds.beganBy(1), Number.NEGATIVE_INFINITY)
    assert.strictEqual(rounds.beganBy(300), 3000)
  })
})
