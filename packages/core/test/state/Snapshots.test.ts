/**
 * A state machine that begins with another's snapshot is that other one: the log after it has the same effects, gives
 * the same answers, and leads to a state of the same bytes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Command } from "../../src/domain/Command.ts"
import type { Key } from "../../src/domain/Entry.ts"
import { ownFeatures } from "../../src/domain/Features.ts"
import type { Revision } from "../../src/domain/Position.ts"
import type { SnapshotHeader, SnapshotRow } from "../../src/domain/Snapshot.ts"
import { SnapshotReader } from "../../src/domain/SnapshotReader.ts"
import { plain } from "../domain/Samples.ts"
import { member, node } from "../rules/Voters.ts"
import { clusterId, Machine } from "./Machine.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Step = Schema.TaggedUnion({
  Put: { key: small(4), size: small(40), guarded: Schema.Boolean, session: small(3), sequence: small(5) },
  Delete: { key: small(4), session: small(3), sequence: small(5) },
  DeleteAll: {},
  Txn: { key: small(4) },
  Open: { owner: Schema.NullOr(small(2)) },
  Cut: { back: small(3) },
  Members: { voters: small(2) },
  Checkpoint: {}
})
type Step = typeof Step.Type

const key = (n: number) => ["a", "b\uffff", "b\u{10000}", "ü", "a\u0000"][n] as Key

const put = (at: number, size: number): Command => ({
  _tag: "Put",
  key: key(at),
  value: new Uint8Array(size).fill(at),
  ifRevision: null,
  previous: false,
  leaseId: null
})

const configure = (voters: number): Command => ({
  _tag: "Configure",
  membership: {
    members: Array.from({ length: voters + 1 }, (_, i) => member(node(i + 1), i < voters ? "voter" : "learner")),
    tombstones: [],
    outgoing: null,
    features: ownFeatures
  }
})

const commandOf = (step: Exclude<Step, { _tag: "Checkpoint" }>, revision: number): Command => {
  switch (step._tag) {
    case "Put":
      return { ...put(step.key, step.size), ifRevision: (step.guarded ? revision : null) as Revision | null } as Command
    case "Delete":
      return { _tag: "Delete", key: key(step.key), ifRevision: null }
    case "DeleteAll":
      return { _tag: "DeleteRange", range: { _tag: "All" } }
    case "Txn":
      return { _tag: "Txn", puts: [{ key: key(step.key), value: new Uint8Array(3) }] }
    case "Open":
      return {
        _tag: "OpenSession",
        owner: step.owner === null ? null : { member: node(step.owner + 1), run: step.owner }
      }
    case "Cut":
      return { _tag: "CutHistory", revision: Math.max(0, revision - step.back) as Revision }
    case "Members":
      return configure(step.voters + 1)
  }
}

const read = (machine: Machine): { readonly header: SnapshotHeader; readonly rows: ReadonlyArray<SnapshotRow> } => {
  const rows: Array<SnapshotRow> = []
  const reader = new SnapshotReader({ header: () => {}, row: (row) => rows.push(row) })
  const { id, read: piece } = machine.snapshot()
  reader.push(Effect.runSync(piece(0, id.bytes)))
  return { header: reader.end().header, rows }
}

describe("a snapshot", () => {
  // scenario: S01
  // fails-with: forgets-the-sessions-of-snapshots snapshots-forget-the-membership
  it.prop(
    "taken at any time, with the log after it, is the state of the whole log",
    [Schema.Array(Step).check(Schema.isMaxLength(60)), small(60)],
    ([steps, cut]) => {
      const whole = new Machine()
      let restored: Machine | null = null
      const sessions: Array<number> = []
      const both = (command: Command, session = 0, sequence = 0) => {
        const outcome = whole.apply(command, { session, sequence })
        if (outcome._tag === "SessionOpened") sessions.push(outcome.session)
        if (restored === null) return
        assert.deepStrictEqual(plain(restored.apply(command, { session, sequence })), plain(outcome))
        assert.strictEqual(restored.inner.digest.current, whole.inner.digest.current)
      }
      both(configure(3))
      steps.forEach((step, i) => {
        if (i === cut % steps.length) restored = Machine.of(whole)
        if (step._tag === "Checkpoint") return whole.checkpoint()
        const session = "session" in step ? sessions[step.session] ?? 0 : 0
        both(
          commandOf(step, whole.inner.revision),
          session,
          session === 0 ? 0 : 1 + ("sequence" in step ? step.sequence : 0)
        )
      })
      restored ??= Machine.of(whole)
      assert.deepStrictEqual(restored.snapshot().id, whole.snapshot().id)
      assert.deepStrictEqual(plain(restored.inner.membership), plain(whole.inner.membership))
    },
    { arbitrary: { runs: 200 } }
  )

  // scenario: S16
  // fails-with: snapshots-without-digest snapshots-without-sessions
  it("says all that a state is: its place, the committed members, both revisions, history, sessions, digest", () => {
    const subject = new Machine()
    subject.apply(configure(3), { term: 4 })
    const session = subject.openSession()
    subject.apply(put(0, 5), { term: 4 })
    subject.apply(put(1, 6), { term: 4 })
    subject.apply({ _tag: "Delete", key: key(0), ifRevision: null }, { term: 4 })
    subject.apply({ _tag: "CutHistory", revision: 1 as Revision }, { term: 4 })
    subject.apply(configure(2), { term: 4 })
    subject.apply(put(2, 7), { session, sequence: 9, term: 5 })
    const { header, rows } = read(subject)
    assert.deepStrictEqual(plain({ last: header.last, clusterId: header.clusterId }), {
      last: { term: 5, index: 8 },
      clusterId
    })
    assert.deepStrictEqual(header.membership.members.map(({ id, standing }) => `${id} ${standing}`), [
      "n1 voter",
      "n2 voter",
      "n3 learner"
    ])
    assert.deepStrictEqual([header.revision, header.compactRevision, header.keys], [4, 1, 2] as Array<unknown>)
    assert.isAbove(header.historyBytes, header.historyCutBytes)
    assert.isAbove(header.historyCutBytes, 0)
    assert.strictEqual(header.digest, subject.inner.digest.current)
    const count = (tag: SnapshotRow["_tag"]) => rows.filter((row) => row._tag === tag).length
    assert.deepStrictEqual([count("Entry"), count("Event")], [2, 3])
    assert.isAbove(count("Session"), 0)
    const events = rows.flatMap((row) => row._tag === "Event" ? [Number(row.event.revision)] : [])
    assert.deepStrictEqual(events, [2, 3, 4], "what was cut is gone")
    // What its session did is known to whoever begins with it.
    const copy = Machine.of(subject)
    const again = copy.apply(put(2, 7), { session, sequence: 9, term: 5 })
    assert.deepStrictEqual([again._tag, copy.inner.revision], ["Put", 4] as Array<unknown>)
  })
})
