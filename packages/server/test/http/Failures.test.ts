import {
  CompareFailed,
  DeadlineExceeded,
  type DistKvError,
  Forbidden,
  InvalidRequest,
  KeyNotFound,
  MembershipRejected,
  NoLeader,
  NotFound,
  OutcomeUnknown,
  Overloaded,
  type Revision,
  Shutdown,
  StorageFailed,
  StorageFull
} from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { errorOf, problemOf } from "../../src/http/Problem.ts"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, serving } from "./Harness.ts"

const revision = 7 as Revision
const message = 'why "so"\n'

/** Every error of the service with the status and the `applied` that `http.md` and `semantics.md` §4 give it. */
const table: ReadonlyArray<readonly [DistKvError, number, string | null]> = [
  [new KeyNotFound({ key: "k", revision }), 404, null],
  [new InvalidRequest({ message }), 400, "no"],
  [new InvalidRequest({ message, tooLarge: true }), 413, "no"],
  [new CompareFailed({ current: null, revision }), 412, "no"],
  [new NoLeader({ message }), 503, "no"],
  [new DeadlineExceeded({ message }), 503, "no"],
  [new Overloaded({ message, retryAfterMs: 2500 }), 429, "no"],
  [new StorageFull({ message }), 507, "no"],
  [new OutcomeUnknown({ message }), 504, "unknown"],
  [new OutcomeUnknown({ message, session: "5", sequence: "6" }), 504, "unknown"],
  [new StorageFailed({ message, cause: new Error("secret path /var/lib") }), 504, "unknown"],
  [new MembershipRejected({ reason: message, final: true }), 409, "no"],
  [new Forbidden({ message }), 403, "no"],
  [new NotFound({ message }), 404, "no"],
  [new Shutdown(), 503, "no"]
]

/** A service all of whose calls fail with this; the types of single calls are narrower than the table. */
const failing = (error: DistKvError) => {
  const fail = () => Effect.fail(error as never)
  return {
    get: fail,
    set: fail,
    setMany: fail,
    delete: fail,
    list: fail,
    deleteRange: fail,
    members: {
      list: Effect.succeed([]),
      add: fail,
      remove: fail,
      promote: fail,
      demote: fail,
      updateAddress: fail
    },
    transferLeadership: fail
  }
}

const calls: ReadonlyArray<readonly [line: string, body: string]> = [
  ["GET /v1/kv/k", ""],
  ["PUT /v1/kv/k", "v"],
  ["DELETE /v1/kv/k", ""],
  ["GET /v1/kv", ""],
  ["DELETE /v1/kv?all=true", ""],
  ["GET /key/k", ""],
  ["POST /key", '{"k":"v"}'],
  ["DELETE /key/k", ""],
  ["POST /v1/cluster/members", '{"id":"n2","address":"h:1","publicKey":"a b"}'],
  ["DELETE /v1/cluster/members/n2", ""],
  ["PATCH /v1/cluster/members/n2", '{"address":"h:1"}'],
  ["POST /v1/cluster/members/n2/promote", ""],
  ["POST /v1/cluster/members/n2/demote?force=true", ""],
  ["POST /v1/cluster/transfer", "{}"]
]

describe("failures on the wire", () => {
  for (const [error, status, applied] of table) {
    it.live(`${error._tag} is ${status} from every call, with applied ${applied}`, () =>
      serving(
        ({ ask }) =>
          Effect.gen(function*() {
            for (const [line, body] of calls) {
              const reply = yield* ask(line, ["Content-Type: application/json"], body)
              assertProblem(reply, status, error._tag, applied)
              assert.notInclude(reply.body, "secret")
              assert.strictEqual(reply.headers.get("distkv-served-by"), "n1")
              assert.strictEqual(reply.headers.get("distkv-revision"), "revision" in error ? "7" : "0")
              assert.strictEqual(reply.headers.get("connection"), error._tag === "Shutdown" ? "close" : "keep-alive")
            }
          }),
        { replaced: failing(error) }
      ))
  }

  it.live("Retry-After is in whole seconds, rounded up, and at least 1", () =>
    Effect.gen(function*() {
      for (const [retryAfterMs, seconds] of [[1, "1"], [1000, "1"], [1001, "2"], [2500, "3"]] as const) {
        yield* serving(
          ({ ask }) =>
            Effect.map(ask("GET /v1/kv/k"), (reply) => {
              assert.strictEqual(reply.headers.get("retry-after"), seconds)
              assert.include(reply.body, `"retryAfterMs":${retryAfterMs}`)
            }),
          { replaced: failing(new Overloaded({ message, retryAfterMs })) }
        )
      }
    }))

  it.live("a defect is 500 without its details, is logged, and ends nothing", () => {
    const logged: Array<string> = []
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          for (const line of ["GET /v1/kv/k", "GET /v1/kv", "PUT /v1/kv/k"]) {
            const reply = yield* ask(line)
            assertProblem(reply, 500, "InternalError", "unknown")
            assert.notInclude(reply.body, "oops")
          }
          assert.strictEqual((yield* ask("GET /livez")).status, 200)
          assert.strictEqual(logged.filter((line) => line.includes("met a defect")).length, 3)
        }),
      {
        replaced: {
          get: () => Effect.die(new Error("oops")),
          set: () => {
            throw new Error("oops")
          },
          list: () => Effect.die(new Error("oops"))
        }
      }
    ).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => {
        logged.push(String(message))
      })]))
    )
  })

  // fails-with: every-read-is-linearizable
  it.live("a leaderless node answers 503 within the deadline, and still serves stale reads (H10)", () => {
    const store = new FakeStore()
    store.put("k", "v", store.next())
    const service = fakeService(store)
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          for (
            const line of ["GET /v1/kv/k?timeout=20ms", "PUT /v1/kv/k?timeout=20ms", "DELETE /v1/kv/k?timeout=20ms"]
          ) {
            const reply = yield* ask(line)
            assertProblem(reply, 503, "NoLeader")
            assert.include(reply.body, "no quorum")
          }
          assert.strictEqual((yield* ask("GET /v1/kv/k?consistency=stale")).body, "v")
        }),
      {
        replaced: {
          ...failing(new NoLeader({ message: "no quorum within the deadline" })),
          get: (key, options) =>
            options?.consistency === "stale"
              ? service.get(key, options)
              : Effect.fail(new NoLeader({ message: "no quorum within the deadline" }))
        }
      }
    )
  })
})

describe("failures read back", () => {
  for (const [error] of table) {
    it(`${error._tag} becomes the same error again`, () => {
      const read = errorOf(problemOf(error).body)
      const plain = ({ _tag, ...rest }: DistKvError) => ({ _tag, message: error.message, ...rest, cause: undefined })
      assert.deepStrictEqual(read && plain(read), plain(error))
      assert.strictEqual(read?.message, error.message)
    })
  }

  it("text that is no failure of distkv's is none", () => {
    for (
      const text of ["", "<html>", "{}", "[]", "null", '{"code":"NoLeader"}', problemOf(new Shutdown()).body.slice(1)]
    ) {
      assert.isUndefined(errorOf(text), text)
    }
  })
})
