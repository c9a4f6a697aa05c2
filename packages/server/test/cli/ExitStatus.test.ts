import {
  AlreadyOpened,
  CompareFailed,
  DeadlineExceeded,
  Forbidden,
  InvalidRequest,
  KeyNotFound,
  MembershipRejected,
  NoLeader,
  NotFound,
  OutcomeUnknown,
  Overloaded,
  Revision,
  Shutdown,
  StorageFailed,
  StorageFull
} from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { CliError } from "effect/cli"
import { failed, misused, statusOf, statusOfExit } from "../../src/cli/ExitStatus.ts"
import { Unreachable } from "../../src/client.ts"

const message = "why"

describe("the exit status says what a script has to know", () => {
  it("every error of the service has its status", () => {
    const expected: ReadonlyArray<readonly [unknown, number]> = [
      [new KeyNotFound({ key: "k", revision: Revision.make(1) }), 3],
      [new CompareFailed({ current: null, revision: Revision.make(1) }), 4],
      [new NoLeader({ message }), 5],
      [new OutcomeUnknown({ message }), 6],
      [new StorageFailed({ message }), 6],
      [new Forbidden({ message }), 7],
      [new InvalidRequest({ message }), 2],
      [new DeadlineExceeded({ message }), 1],
      [new Overloaded({ retryAfterMs: 1, message }), 1],
      [new StorageFull({ message }), 1],
      [new MembershipRejected({ reason: message, final: true }), 1],
      [new NotFound({ message }), 1],
      [new Shutdown({}), 1],
      [new AlreadyOpened({ directory: "d" }), 1],
      [new Unreachable({ message }), 1],
      [failed(message), 1],
      [misused(message), 2],
      [new CliError.ShowHelp({ commandPath: ["distkv"], errors: [] }), 2],
      [new Error("a defect"), 1],
      [undefined, 1]
    ]
    for (const [error, status] of expected) assert.strictEqual(statusOf(error), status, String(error))
  })

  it("a run that succeeds is 0, an interrupted one is not", () => {
    assert.strictEqual(statusOfExit(Exit.void), 0)
    assert.strictEqual(statusOfExit(Exit.interrupt(1)), 1)
  })
})
