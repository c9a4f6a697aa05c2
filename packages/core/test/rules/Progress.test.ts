import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { agreeingUpTo, matchAppend } from "../../src/rules/LogMatching.ts"
import { Progress } from "../../src/rules/Progress.ts"
import { entry, followerLog, idAt, index, pairOf } from "./Logs.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Rises = Schema.Array(natural(2))

/** What may happen between a leader and one follower; places say which of the messages under way it happens to. */
const Step = Schema.TaggedUnion({
  Send: { count: natural(4) },
  Deliver: { place: natural(8) },
  Repeat: { place: natural(8) },
  Lose: { place: natural(8) },
  Heartbeat: {}
})

type Message =
  | { readonly to: "follower"; readonly previous: number; readonly count: number }
  | { readonly to: "leader"; readonly matched: true; readonly index: number }
  | {
    readonly to: "leader"
    readonly matched: false
    readonly index: number
    readonly hint: ReturnType<typeof agreeingUpTo>
  }

const windowBytes = 5

/** A leader whose log no longer grows, one follower, and a network that loses, repeats and reorders. */
class Conversation {
  readonly leader: ReadonlyArray<number>
  follower: ReadonlyArray<number>
  readonly progress: Progress
  under: Array<Message> = []

  constructor(leader: ReadonlyArray<number>, follower: ReadonlyArray<number>) {
    this.leader = leader
    this.follower = follower
    this.progress = new Progress(index(leader.length + 1), 0)
  }

  send(count: number): void {
    if (!this.progress.maySend(windowBytes)) return
    const previous = this.progress.next - 1
    const sent = Math.min(count, this.leader.length - previous)
    this.under.push({ to: "follower", previous, count: sent })
    if (sent > 0 || this.progress.state === "Probe") this.progress.sent(index(previous + sent), sent)
  }

  /** Asks whether the logs agree where the next entries go. */
  heartbeat(): void {
    this.under.push({ to: "follower", previous: this.progress.next - 1, count: 0 })
  }

  deliver(message: Message): void {
    if (message.to === "follower") return this.receive(message.previous, message.count)
    const before = this.progress.match
    if (message.matched) this.progress.matched(index(message.index))
    else this.progress.rejected(index(message.index), agreeingUpTo(followerLog(this.leader), message.hint))
    assert.isAtLeast(this.progress.match, before, "match never falls")
  }

  private receive(previous: number, count: number): void {
    const entries = this.leader.slice(previous, previous + count).map((one, i) => entry(one, previous + 1 + i))
    const match = matchAppend(followerLog(this.follower), idAt(this.leader, previous), entries)
    if (match._tag === "Rejected") {
      this.under.push({ to: "leader", matched: false, index: previous, hint: match.hint })
      return
    }
    if (match.skip < entries.length) {
      const kept = this.follower.slice(0, previous + match.skip)
      this.follower = [...kept, ...entries.slice(match.skip).map((one) => one.term)]
    }
    this.under.push({ to: "leader", matched: true, index: match.end })
  }

  check(): void {
    const { match, next } = this.progress
    assert.isBelow(match, next)
    assert.isAtMost(next, this.leader.length + 1)
    assert.deepStrictEqual(this.follower.slice(0, match), this.leader.slice(0, match), "the follower has what it said")
  }
}

describe("what a leader knows of a follower", () => {
  it.prop("is never more than the truth, whatever the network does, and all of it once the network is well", [
    Rises,
    Rises,
    Rises,
    Schema.Array(Step)
  ], ([stem, left, right, steps]) => {
    const talk = new Conversation(...pairOf(stem, left, right))
    for (const step of steps) {
      if (step._tag === "Send") talk.send(step.count)
      else if (step._tag === "Heartbeat") talk.heartbeat()
      else if (talk.under.length > 0) {
        const place = step.place % talk.under.length
        const [message] = step._tag === "Repeat" ? talk.under.slice(place) : talk.under.splice(place, 1)
        if (step._tag !== "Lose" && message !== undefined) talk.deliver(message)
      }
      talk.check()
    }
    // All that was under way is lost; heartbeats find out what the follower lacks.
    talk.under = []
    for (let rounds = 0; talk.progress.match < talk.leader.length || talk.under.length > 0; rounds++) {
      assert.isAtMost(rounds, 20 * (talk.leader.length + 2), "they never agree")
      const message = talk.under.shift()
      if (message === undefined) {
        talk.heartbeat()
        talk.send(2)
      } else talk.deliver(message)
      talk.check()
    }
    assert.deepStrictEqual(talk.follower.slice(0, talk.leader.length), talk.leader)
  }, { arbitrary: { runs: 400, size: 40 } })

  it("lets one append out at a time until the logs are known to meet", () => {
    const progress = new Progress(index(10), 0)
    assert.isTrue(progress.maySend(1))
    progress.sent(index(12), 500)
    assert.isFalse(progress.maySend(1000))
    assert.strictEqual(progress.next, 10)
    progress.rejected(index(9), { index: index(4), term: idAt([1, 1, 1, 1], 4).term })
    assert.isTrue(progress.maySend(1))
    assert.strictEqual(progress.next, 5)
  })

  it("then keeps a window of bytes full, and makes room as answers come", () => {
    const progress = new Progress(index(1), 0)
    progress.matched(index(0))
    assert.strictEqual(progress.state, "Replicate")
    for (const last of [3, 5, 9]) {
      assert.isTrue(progress.maySend(100))
      progress.sent(index(last), 40)
      assert.strictEqual(progress.next, last + 1)
    }
    assert.isFalse(progress.maySend(100))
    assert.isTrue(progress.matched(index(4)))
    assert.isTrue(progress.maySend(100), "the first of three is answered")
    assert.isFalse(progress.maySend(80))
    progress.matched(index(9))
    assert.isTrue(progress.maySend(1), "all are answered")
    assert.isFalse(progress.matched(index(9)), "no news")
  })

  it("does not go back for a late or repeated rejection", () => {
    const progress = new Progress(index(8), 0)
    const nothing = idAt([], 0)
    assert.isFalse(progress.rejected(index(3), nothing), "not about what is outstanding")
    assert.strictEqual(progress.next, 8)
    progress.matched(index(7))
    assert.isFalse(progress.rejected(index(7), nothing), "about what is known to match")
    assert.deepStrictEqual([progress.state, progress.match, progress.next], ["Replicate", 7, 8])
  })
})
