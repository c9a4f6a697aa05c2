import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { defaultLimits } from "../../src/DistKvSettings.ts"
import type { ClusterId } from "../../src/domain/Identity.ts"
import type { Envelope, PeerMessage } from "../../src/domain/PeerMessage.ts"
import { Admission } from "../../src/state/Admission.ts"
import { incarnationOf, put } from "../roles/Bench.ts"
import { index, term } from "../rules/Logs.ts"
import { member, node } from "../rules/Voters.ts"

const from = (n: number, message: PeerMessage): Envelope => ({
  from: node(n),
  incarnation: incarnationOf(node(n)),
  publicKey: member(node(n)).publicKey,
  clusterId: "c".repeat(32) as ClusterId,
  message
})

const forward = (bytes: number, id = 1): PeerMessage => ({
  _tag: "ForwardRequest",
  run: 1,
  id,
  leaderTerm: term(1),
  hops: 1,
  remainingMs: 1000,
  record: new Uint8Array(bytes)
})

const append = (count: number): PeerMessage => ({
  _tag: "AppendRequest",
  term: term(1),
  previous: { term: term(1), index: index(1) },
  committed: index(1),
  round: 1,
  entries: Array.from({ length: count }, (_, i) => put(1, i + 2))
})

const vote: PeerMessage = { _tag: "VoteReply", term: term(1), preVote: false, granted: true }

const mebibyte = 1024 * 1024

describe("what a peer may put into the inbox", () => {
  it("beyond its bytes a forwarded write is refused without its record, and a vote still taken", () => {
    const admission = new Admission(defaultLimits)
    for (let i = 0; i < 15; i++) assert.strictEqual(admission.ofPeer(from(2, forward(mebibyte, i)))?._tag, "Peer")
    const refused = admission.ofPeer(from(2, forward(mebibyte, 15)))
    assert.strictEqual(refused?._tag, "Shed")
    if (refused?._tag !== "Shed" || refused.envelope.message._tag !== "ForwardRequest") return
    assert.deepStrictEqual([refused.envelope.message.id, refused.envelope.message.record.length], [15, 0])
    assert.strictEqual(admission.ofPeer(from(2, vote))?._tag, "Peer")
    assert.strictEqual(admission.ofPeer(from(3, forward(mebibyte)))?._tag, "Peer", "another peer has its own bound")
    assert.deepStrictEqual([admission.shed, admission.dropped], [1, 0])
    admission.emptied()
    assert.strictEqual(admission.ofPeer(from(2, forward(mebibyte, 16)))?._tag, "Peer")
  })

  it("beyond its bytes entries are dropped and counted, and heartbeats taken", () => {
    const admission = new Admission({ ...defaultLimits, inflightBytes: 1 })
    const one = append(4096)
    let taken = 0
    while (taken < 1000 && admission.ofPeer(from(2, one)) !== null) taken++
    assert.isBelow(taken, 1000)
    assert.strictEqual(admission.dropped, 1)
    assert.strictEqual(admission.ofPeer(from(2, append(0)))?._tag, "Peer")
  })

  it("beyond its bytes pieces of snapshots are dropped, and the empty ones that ask taken", () => {
    const admission = new Admission(defaultLimits)
    const last = { term: term(1), index: index(1) }
    const piece = (bytes: number): PeerMessage => ({
      _tag: "SnapshotPiece",
      term: term(1),
      id: { last, bytes: 2 ** 40, checksum: 0 },
      offset: 0,
      data: new Uint8Array(bytes)
    })
    for (let i = 0; i < 15; i++) assert.strictEqual(admission.ofPeer(from(2, piece(mebibyte)))?._tag, "Peer")
    assert.isNull(admission.ofPeer(from(2, piece(mebibyte))))
    assert.strictEqual(admission.ofPeer(from(2, piece(0)))?._tag, "Peer")
  })

  it("beyond a number of messages nothing is taken, however small", () => {
    const admission = new Admission(defaultLimits)
    let taken = 0
    for (let i = 0; i < 100_000; i++) if (admission.ofPeer(from(2, vote)) !== null) taken++
    assert.strictEqual(taken, 65_536)
    assert.strictEqual(admission.dropped, 100_000 - 65_536)
  })

  it.prop("stays within the bound, in any order of messages and turns", [
    Schema.Array(Schema.Union([
      Schema.Literal("turn"),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 * mebibyte }))
    ]))
  ], ([steps]) => {
    const admission = new Admission(defaultLimits)
    let unread = 0
    for (const step of steps) {
      if (step === "turn") {
        admission.emptied()
        unread = 0
      } else if (admission.ofPeer(from(2, forward(step)))?._tag === "Peer") unread += step
      assert.isAtMost(unread, 16 * mebibyte)
    }
  }, { arbitrary: { runs: 30, size: 30 } })
})
