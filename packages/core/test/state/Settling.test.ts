import { assert, describe, it } from "@effect/vitest"
import { NoLeader } from "../../src/DistKvError.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { MemberSession } from "../../src/state/MemberSession.ts"
import { type PendingRead, PendingReads } from "../../src/state/PendingReads.ts"
import { pendingWrite, PendingWrites } from "../../src/state/PendingWrites.ts"

const error = new NoLeader({ message: "there is none" })

describe("a request that was settled", () => {
  it("lets go of the caller of a write, who is told once", () => {
    const writes = new PendingWrites(new MemberSession())
    const told: Array<string> = []
    const settle = ({ _tag }: { readonly _tag: string }) => void told.push(_tag)
    const write = pendingWrite({ record: new Uint8Array(64), deadline: 100, origin: null, hops: 0, settle })
    writes.admit(write)
    writes.refuse(write, error)
    assert.deepStrictEqual(told, [])
    writes.release()
    assert.notStrictEqual(write.settle, settle)
    writes.refuse(write, error)
    writes.release()
    assert.deepStrictEqual(told, ["Failed"])
  })

  it("lets go of the caller of a read, who is told once", () => {
    const reads = new PendingReads()
    let told = 0
    const settle = () => void told++
    const read: PendingRead = {
      deadline: 100,
      minRevision: 0 as Revision,
      settle,
      local: false,
      readIndex: null,
      settled: false
    }
    reads.admit(read)
    reads.settle(read, error)
    reads.release()
    assert.notStrictEqual(read.settle, settle)
    reads.settle(read, null)
    reads.release()
    assert.strictEqual(told, 1)
  })
})
