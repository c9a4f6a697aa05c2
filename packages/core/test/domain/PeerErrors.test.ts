import { assert, describe, it } from "@effect/vitest"
import type { DistKvError } from "../../src/DistKvError.ts"
import {
  CompareFailed,
  InvalidRequest,
  KeyNotFound,
  OutcomeUnknown,
  Overloaded,
  Shutdown,
  StorageFailed
} from "../../src/DistKvError.ts"
import { decodeMessage, encodeMessage } from "../../src/domain/PeerCodec.ts"
import type { PeerMessage } from "../../src/domain/PeerMessage.ts"
import type { Revision, Term } from "../../src/domain/Position.ts"
import { plain, someEntry } from "./Samples.ts"

const trip = (message: PeerMessage): PeerMessage => decodeMessage(encodeMessage(message))

describe("a forwarded record", () => {
  it("arrives as a copy, since the leader stamps it while a repeated frame may be decoded again", () => {
    const record = new Uint8Array([1, 2, 3])
    const bytes = encodeMessage({
      _tag: "ForwardRequest",
      run: 1,
      id: 2,
      leaderTerm: 3 as Term,
      hops: 1,
      remainingMs: 5000,
      record
    })
    const first = decodeMessage(bytes)
    assert.isTrue(first._tag === "ForwardRequest")
    if (first._tag === "ForwardRequest") first.record.fill(9)
    assert.deepStrictEqual(plain(decodeMessage(bytes)), { ...first, record })
  })
})

describe("an error", () => {
  const errors: ReadonlyArray<DistKvError> = [
    new KeyNotFound({ key: "a", revision: 3 as Revision }),
    new InvalidRequest({ message: "no\ud800\n\u2028", tooLarge: true }),
    new InvalidRequest({ message: "" }),
    new CompareFailed({ current: someEntry, revision: 9 as Revision }),
    new CompareFailed({ current: null, revision: 9 as Revision }),
    new Overloaded({ message: "full", retryAfterMs: 20 }),
    new OutcomeUnknown({ message: "lost" }),
    new OutcomeUnknown({ message: "lost", session: "4", sequence: "5" }),
    new StorageFailed({ message: "disk" }),
    new Shutdown()
  ]

  it("crosses the wire as an instance of its class, with everything it carried", () => {
    for (const error of errors) {
      for (
        const message of [
          { _tag: "ForwardReply", id: 1, result: { _tag: "Refused", error } },
          { _tag: "AdminReply", id: 1, result: { _tag: "Failed", error } }
        ] satisfies ReadonlyArray<PeerMessage>
      ) {
        const arrived = trip(message)
        assert.isTrue(arrived._tag === "ForwardReply" || arrived._tag === "AdminReply")
        if (arrived._tag !== "ForwardReply" && arrived._tag !== "AdminReply") return
        const { result } = arrived
        assert.isTrue(result._tag === "Refused" || result._tag === "Failed")
        if (result._tag !== "Refused" && result._tag !== "Failed") return
        assert.strictEqual(result.error.constructor, error.constructor)
        assert.strictEqual(result.error.message, error.message)
        assert.strictEqual(result.error.applied, error.applied)
        assert.deepStrictEqual(plain(result.error), plain(error))
      }
    }
  })

  it("may have any cause, of which what JSON can say arrives", () => {
    const circular: Record<string, unknown> = { a: 1 }
    circular["self"] = circular
    const causes = [new Error("boom"), circular, 12n, Symbol("s"), () => 1, undefined, null, "text", new Map([[1, 2]])]
    for (const cause of causes) {
      const error = new StorageFailed({ message: "disk", cause })
      const arrived = trip({ _tag: "ForwardReply", id: 1, result: { _tag: "Refused", error } })
      assert.isTrue(
        arrived._tag === "ForwardReply" && arrived.result._tag === "Refused" &&
          arrived.result.error instanceof StorageFailed
      )
    }
    const arrived = trip({
      _tag: "AdminReply",
      id: 1,
      result: { _tag: "Failed", error: new StorageFailed({ message: "disk", cause: new TypeError("boom") }) }
    })
    const cause = arrived._tag === "AdminReply" && arrived.result._tag === "Failed" &&
      arrived.result.error._tag === "StorageFailed" && arrived.result.error.cause
    assert.isTrue(cause instanceof Error && cause.message === "boom" && cause.name === "TypeError")
  })
})
