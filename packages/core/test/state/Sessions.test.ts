import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Command } from "../../src/domain/Command.ts"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { Outcome } from "../../src/domain/Outcome.ts"
import type { LogIndex, Revision, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import { clientResults, clientSessions, memberResults } from "../../src/rules/Sessions.ts"
import { StateMachine } from "../../src/state/StateMachine.ts"
import { plain } from "../domain/Samples.ts"
import { member, node } from "../rules/Voters.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Few sessions and few sequences, so that most steps meet what was before them; some jump over a whole window. */
const Step = Schema.TaggedUnion({
  OpenClient: {},
  OpenMember: { member: small(2), run: small(2) },
  Write: {
    session: small(5),
    sequence: small(9),
    jump: Schema.Literals([0, 0, 0, 0, 0, 70, 1030, 70_000]),
    unacknowledged: small(9),
    what: Schema.Literals(["put", "create", "replaced", "delete", "range", "txn", "seal"]),
    key: Schema.Literals(["a", "b"])
  },
  Members: { gone: small(2) },
  Checkpoint: {},
  Restart: {}
})
type Step = typeof Step.Type

/** A machine with its store; `restart` loses whatever no checkpoint has, and replays it. */
class Subject {
  private readonly state = new MemoryStateStore.MemoryState()
  private readonly store = MemoryStateStore.make(this.state)
  machine = new StateMachine(this.store, null)
  private readonly log: Array<LogEntry> = []

  apply(command: Command, session = 0, sequence = 0, unacknowledged = 0): Outcome {
    const index = (this.log.length + 1) as LogIndex
    const entry = stamp(encodeCommand(command, session, sequence, unacknowledged), 1 as Term, index)
    this.log.push(entry)
    return this.machine.apply(entry)
  }

  checkpoint(): void {
    Effect.runSync(this.store.checkpoint(this.machine.freeze()))
    this.machine.thaw()
  }

  restart(): void {
    const { revision } = this.machine
    this.machine = new StateMachine(this.store, this.state.recover())
    for (const entry of this.log.slice(this.machine.applied)) this.machine.apply(entry)
    assert.strictEqual(this.machine.revision, revision)
  }

  rows(): ReadonlyArray<string> {
    this.checkpoint()
    return [...this.state.sessions()].map((row) => Buffer.from(row).toString("hex"))
  }
}

/** What a session is, said as simply as can be: each number with its first answer, and a floor below which none is. */
interface NaiveSession {
  readonly id: number
  readonly member: number | null
  readonly run: number
  readonly most: number
  readonly results: Map<number, { readonly outcome: Outcome; readonly command: string; readonly sealed: boolean }>
  floor: number
}

class NaiveSessions {
  open: Array<NaiveSession> = []
  members = [0, 1, 2]

  find(id: number): NaiveSession | undefined {
    return this.open.find((session) => session.id === id)
  }

  /** The answer that a command must get without being executed, or null where it must be executed. */
  answer(id: number, sequence: number, unacknowledged: number, command: string, revision: Revision): Outcome | null {
    const session = this.find(id)
    if (session === undefined) return { _tag: "SessionExpired", revision }
    session.floor = Math.max(session.floor, Math.min(unacknowledged, sequence))
    if (sequence < session.floor) return { _tag: "SessionExpired", revision }
    const found = session.results.get(sequence)
    if (found === undefined) return null
    if (command === "Seal") return withoutEntries(found.outcome)
    if (!found.sealed && found.command !== command) {
      return { _tag: "SequenceReused", revision }
    }
    return found.outcome
  }

  /** Whether a member would give a number of its own a second time: none does, and nothing is promised for it. */
  isReused(id: number, sequence: number, command: string): boolean {
    const session = this.find(id)
    const found = session?.results.get(sequence)
    if (session?.member === null || found === undefined || found.sealed || command === "Seal") return false
    return found.command !== command
  }

  note(id: number, sequence: number, command: string, outcome: Outcome): void {
    const session = this.find(id)!
    if (command === "Seal" && session.member !== null && sequence >= session.floor + session.most) return
    session.results.set(sequence, { outcome, command, sealed: command === "Seal" })
    session.floor = Math.max(session.floor, ...[...session.results.keys()].map((known) => known - session.most + 1))
  }
}

/** Whoever seals does not name the key. */
const withoutEntries = (outcome: Outcome): Outcome =>
  outcome._tag === "Put"
    ? { ...outcome, previous: null }
    : outcome._tag === "CompareFailed"
    ? { ...outcome, current: null }
    : outcome

const commandOf = (step: Extract<Step, { _tag: "Write" }>): Command => {
  const key = step.key as Key
  const put = { _tag: "Put", key, value: new Uint8Array(step.sequence), leaseId: null } as const
  switch (step.what) {
    case "put":
      return { ...put, ifRevision: null, previous: false }
    case "create":
      return { ...put, ifRevision: 0 as Revision, previous: false }
    case "replaced":
      return { ...put, ifRevision: null, previous: true }
    case "delete":
      return { _tag: "Delete", key, ifRevision: null }
    case "range":
      return { _tag: "DeleteRange", range: { _tag: "All" } }
    case "txn":
      return { _tag: "Txn", puts: [{ key, value: new Uint8Array(1) }] }
    case "seal":
      return { _tag: "Seal" }
  }
}

const membershipOf = (members: ReadonlyArray<number>): Command => ({
  _tag: "Configure",
  membership: { members: members.map((n) => member(node(n + 1), "voter")), tombstones: [], outgoing: null }
})

/** Plays the steps on a machine that restarts and on one that never does, and says what each command answered. */
const play = (steps: ReadonlyArray<Step>): void => {
  const subject = new Subject()
  const steady = new Subject()
  const naive = new NaiveSessions()
  const ids: Array<number> = []
  const both = (command: Command, session = 0, sequence = 0, unacknowledged = 0): Outcome => {
    const outcome = subject.apply(command, session, sequence, unacknowledged)
    assert.deepStrictEqual(plain(steady.apply(command, session, sequence, unacknowledged)), plain(outcome))
    return outcome
  }
  const opened = (owner: { readonly member: number; readonly run: number } | null, outcome: Outcome) => {
    if (owner !== null && !naive.members.includes(owner.member)) {
      return assert.strictEqual(outcome._tag, "SessionExpired")
    }
    const id = outcome._tag === "SessionOpened" ? outcome.session : -1
    const present = owner === null ? undefined : naive.open.find((session) => session.member === owner.member)
    if (present !== undefined && present.run === owner?.run) return assert.strictEqual(id, present.id)
    naive.open = naive.open.filter((session) => session !== present)
    assert.notInclude(ids, id)
    assert.strictEqual(id % 2, owner === null ? 0 : 1)
    const most = owner === null ? clientResults : memberResults
    naive.open.push({ id, member: owner?.member ?? null, run: owner?.run ?? 0, most, results: new Map(), floor: 1 })
    ids.push(id)
  }
  both(membershipOf(naive.members))
  for (const step of steps) {
    switch (step._tag) {
      case "OpenClient":
        opened(null, both({ _tag: "OpenSession", owner: null }))
        break
      case "OpenMember":
        opened(step, both({ _tag: "OpenSession", owner: { member: node(step.member + 1), run: step.run } }))
        break
      case "Members":
        naive.members = [0, 1, 2].filter((n) => n !== step.gone)
        naive.open = naive.open.filter(({ member: owner }) => owner === null || naive.members.includes(owner))
        both(membershipOf(naive.members))
        break
      case "Checkpoint":
        subject.checkpoint()
        break
      case "Restart":
        subject.restart()
        break
      case "Write": {
        const id = ids[step.session] ?? 999
        const sequence = 1 + step.sequence + step.jump
        const command = commandOf(step)
        const text = command._tag === "Seal" ? "Seal" : JSON.stringify(plain({ command }))
        if (naive.isReused(id, sequence, text)) break
        const { revision } = subject.machine
        const expected = naive.answer(id, sequence, step.unacknowledged, text, revision)
        const outcome = both(command, id, sequence, step.unacknowledged)
        if (expected !== null) {
          assert.deepStrictEqual(plain(outcome), plain(expected))
          assert.strictEqual(subject.machine.revision, revision)
        } else naive.note(id, sequence, text, outcome)
      }
    }
  }
  assert.deepStrictEqual(subject.rows(), steady.rows(), "equal sessions make equal rows, whenever they were written")
  const reloaded = [...subject.rows()]
  subject.restart()
  assert.deepStrictEqual(subject.rows(), reloaded)
}

const put = (key: string, value: string, ifRevision: number | null = null): Command => ({
  _tag: "Put",
  key: key as Key,
  value: new TextEncoder().encode(value),
  ifRevision: ifRevision as Revision | null,
  previous: false,
  leaseId: null
})

const openClient = (subject: Subject): number => {
  const outcome = subject.apply({ _tag: "OpenSession", owner: null })
  return outcome._tag === "SessionOpened" ? outcome.session : assert.fail(outcome._tag)
}

describe("a command in a session", () => {
  it.prop(
    "is executed once and answers as it did then, over checkpoints, restarts and windows",
    [Schema.Array(Step)],
    ([steps]) => play(steps),
    { arbitrary: { runs: 400, size: 60 } }
  )

  it("is told of reuse and of the end of its session, and does nothing then", () => {
    const subject = new Subject()
    const session = openClient(subject)
    subject.apply(put("k", "1"), session, 1)
    assert.strictEqual(subject.apply(put("k", "2"), session, 1)._tag, "SequenceReused")
    assert.strictEqual(subject.apply(put("k", "3"), session, 1 + clientResults)._tag, "Put")
    assert.strictEqual(subject.apply(put("k", "1"), session, 1)._tag, "SessionExpired")
    assert.strictEqual(subject.apply(put("k", "4"), 1234, 1)._tag, "SessionExpired")
    assert.strictEqual(subject.machine.revision, 2)
  })

  it("that was sealed is never executed, whenever it comes", () => {
    const subject = new Subject()
    const session = openClient(subject)
    assert.strictEqual(subject.apply({ _tag: "Seal" }, session, 5)._tag, "Sealed")
    subject.checkpoint()
    subject.restart()
    assert.strictEqual(subject.apply(put("k", "1"), session, 5)._tag, "Sealed")
    subject.apply(put("k", "2"), session, 6)
    assert.deepInclude(subject.apply({ _tag: "Seal" }, session, 6), { _tag: "Put", revision: 1 as Revision })
    assert.strictEqual(subject.machine.revision, 1)
  })

  it("shows again what a failed guard met, though the key has changed since", () => {
    const subject = new Subject()
    const session = openClient(subject)
    subject.apply(put("k", "old"))
    const first = subject.apply(put("k", "new", 7), session, 1)
    subject.apply(put("k", "newer"))
    subject.checkpoint()
    assert.deepStrictEqual(plain(subject.apply(put("k", "new", 7), session, 1)), plain(first))
    // Its events may not be gone from here yet; from another node they may.
    subject.apply({ _tag: "CutHistory", revision: 2 as Revision })
    assert.strictEqual(subject.apply(put("k", "new", 7), session, 1)._tag, "SessionExpired")
  })

  it("loses its session to a newer one when it was used least recently", () => {
    const subject = new Subject()
    const [first, second] = [openClient(subject), openClient(subject)]
    for (let i = 2; i < clientSessions; i++) openClient(subject)
    subject.apply(put("k", "1"), first, 1)
    subject.checkpoint()
    subject.restart()
    openClient(subject)
    assert.strictEqual(subject.apply(put("k", "1"), first, 1)._tag, "Put")
    assert.strictEqual(subject.apply(put("k", "1"), second, 1)._tag, "SessionExpired")
    assert.strictEqual(subject.machine.sessions.count, clientSessions)
  })

  it("of a member never moves its window by being asked about", () => {
    const subject = new Subject()
    subject.apply(membershipOf([0]))
    const opened = subject.apply({ _tag: "OpenSession", owner: { member: "n1" as NodeId, run: 1 } })
    const session = opened._tag === "SessionOpened" ? opened.session : 0
    assert.strictEqual(subject.apply({ _tag: "Seal" }, session, 1_000_000)._tag, "SessionExpired")
    assert.strictEqual(subject.apply(put("k", "1"), session, 1)._tag, "Put")
  })

  it("that only repeats an answer may move the window, and its rows go all the same", () => {
    const [subject, steady] = [new Subject(), new Subject()]
    const rows = [subject, steady].map((one) => {
      const session = openClient(one)
      for (const sequence of [1, 2, 3]) one.apply(put("k", "1"), session, sequence, 1)
      if (one === subject) one.checkpoint()
      assert.strictEqual(one.apply(put("k", "1"), session, 3, 3)._tag, "Put")
      return one.rows()
    })
    assert.deepStrictEqual(rows[0], rows[1])
  })
})
