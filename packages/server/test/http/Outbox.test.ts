import { assert, describe, it } from "@effect/vitest"
import type { ServerResponse } from "node:http"
import { Heads } from "../../src/http/Head.ts"
import { Outbox } from "../../src/http/Outbox.ts"

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

/** A response that takes note of its end; one of status 500 cannot be written. */
const responses = () => {
  const ended: Array<number> = []
  const destroyed: Array<number> = []
  const response = (id: number) =>
    ({
      writeHead: (status: number) => {
        if (status === 500) throw new Error("no such status here")
      },
      end: () => void ended.push(id),
      destroy: () => void destroyed.push(id)
    }) as unknown as ServerResponse
  return { ended, destroyed, response }
}

const answer = (status = 200) => ({ status, headers: "", body: null })

describe("answers that are there at once", () => {
  it("are written together at the end of the turn", async () => {
    const { ended, response } = responses()
    const outbox = new Outbox(new Heads(), () => assert.fail("there is no defect"))
    for (let round = 0; round < 40; round++) {
      outbox.post(response(1), answer(), false)
      outbox.post(response(2), answer(), false)
      assert.deepStrictEqual(ended, [])
      await turn()
      assert.deepStrictEqual(ended.splice(0), [1, 2])
    }
  })

  it("wait for nobody where none has company, until one has", async () => {
    const { ended, response } = responses()
    const outbox = new Outbox(new Heads(), () => assert.fail("there is no defect"))
    let waited = 0
    for (let round = 0; round < 200; round++) {
      outbox.post(response(1), answer(), false)
      if (ended.length === 0) waited++
      await turn()
      assert.deepStrictEqual(ended.splice(0), [1])
    }
    assert.isBelow(waited, 30)
    for (let round = 0; round < 16; round++) {
      outbox.post(response(1), answer(), false)
      outbox.post(response(2), answer(), false)
      await turn()
      assert.deepStrictEqual(ended.splice(0), [1, 2])
    }
    outbox.post(response(1), answer(), false)
    assert.deepStrictEqual(ended, [])
    await turn()
  })

  it("wait for no more than fit a batch", async () => {
    const { ended, response } = responses()
    const outbox = new Outbox(new Heads(), () => assert.fail("there is no defect"))
    for (let id = 0; id < 40; id++) outbox.post(response(id), answer(), false)
    assert.lengthOf(ended, 32)
    await turn()
    assert.deepStrictEqual(ended, Array.from({ length: 40 }, (_, id) => id))
  })

  it("end their own connection alone, where one cannot be written", async () => {
    const { destroyed, ended, response } = responses()
    const defects: Array<unknown> = []
    const outbox = new Outbox(new Heads(), (defect) => void defects.push(defect))
    outbox.post(response(1), answer(), false)
    outbox.post(response(2), answer(500), false)
    outbox.post(response(3), answer(), false)
    await turn()
    assert.deepStrictEqual([ended, destroyed], [[1, 3], [2]])
    assert.lengthOf(defects, 1)
  })
})
