/** The digest of the applied state: a function of what the log did, and of nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Entry, Key } from "../../src/domain/Entry.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Revision, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import { digestsKept } from "../../src/state/StateDigest.ts"
import { StateMachine } from "../../src/state/StateMachine.ts"
import type { Checkpoint, StateMeta } from "../../src/StateStore.ts"
import { cluster, configure } from "../roles/Bench.ts"
import { putEntry } from "../simulation/calls.ts"

const put = (index: number, key: string, value: string): LogEntry => putEntry(1, index, key, value)

const remove = (index: number, key: string): LogEntry =>
  stamp(encodeCommand({ _tag: "Delete", key: key as Key, ifRevision: null }), 1 as Term, index as LogIndex)

const machineOn = (meta: StateMeta | null = null, ...checkpoints: ReadonlyArray<Checkpoint>): StateMachine => {
  const state = new MemoryStateStore.MemoryState()
  for (const checkpoint of checkpoints) state.checkpoint(checkpoint)
  return new StateMachine(MemoryStateStore.make(state), meta)
}

const begin = configure(1, 1, cluster(3))
const log = [begin, put(2, "a", "1"), put(3, "b", "2"), put(4, "a", "3"), remove(5, "b"), remove(6, "b")]

describe("a digest of the state", () => {
  it("is the same for the same log, changes with every entry, and with what any of them says", () => {
    const [one, other] = [machineOn(), machineOn()]
    const seen = new Set<number | undefined>()
    for (const entry of log) {
      one.apply(entry)
      other.apply(entry)
      assert.strictEqual(one.digest.current, other.digest.current)
      seen.add(one.digest.current)
    }
    assert.strictEqual(seen.size, log.length)
    for (const changed of [put(3, "b", "4"), put(3, "c", "2"), remove(3, "b")]) {
      const third = machineOn()
      for (const entry of log) third.apply(entry.index === 3 ? changed : entry)
      assert.notStrictEqual(third.digest.current, one.digest.current)
    }
  })

  it("differs for ever once one entry did something else, though the log is the same", () => {
    const rows = new Map<Key, Entry | null>()
    const whole = machineOn()
    for (const entry of log.slice(0, 3)) whole.apply(entry)
    const checkpoint = whole.freeze()
    const without: Checkpoint = { ...checkpoint, rows }
    const damaged = machineOn(checkpoint.meta, without)
    const sound = machineOn(checkpoint.meta, checkpoint)
    for (const entry of [...log.slice(3), put(7, "c", "5")]) {
      sound.apply(entry)
      damaged.apply(entry)
      assert.notStrictEqual(damaged.digest.current, sound.digest.current, `at ${entry.index}`)
    }
  })

  it("goes on from a checkpoint as if there had been none", () => {
    const whole = machineOn()
    for (const entry of log) whole.apply(entry)
    for (let cut = 1; cut < log.length; cut++) {
      const first = machineOn()
      for (const entry of log.slice(0, cut)) first.apply(entry)
      const checkpoint = first.freeze()
      const second = machineOn(checkpoint.meta, checkpoint)
      assert.strictEqual(second.digest.at(cut), checkpoint.meta.digest)
      for (const entry of log.slice(cut)) second.apply(entry)
      assert.strictEqual(second.digest.current, whole.digest.current)
    }
  })

  it("begins with the config entry that names the feature, and only there", () => {
    const machine = machineOn()
    const { features: _, ...older } = cluster(3)
    machine.apply(configure(1, 1, older))
    machine.apply(put(2, "a", "1"))
    assert.isUndefined(machine.digest.current)
    assert.isUndefined(machine.freeze().meta.digest)
    machine.apply(configure(1, 3, cluster(3)))
    assert.isDefined(machine.digest.at(3))
    assert.isUndefined(machine.digest.at(2))
    const before = machine.digest.current
    machine.apply(configure(1, 4, cluster(3)))
    assert.notStrictEqual(machine.digest.current, before, "a later one is an entry like any other")
  })

  it("is remembered for the last entries, each under its own index", () => {
    const machine = machineOn()
    const known = new Map<number, number | undefined>()
    machine.apply(begin)
    for (let i = 2; i <= digestsKept + 10; i++) {
      machine.apply(put(i, `k${i % 3}`, "v"))
      known.set(i, machine.digest.current)
    }
    const { last } = { last: digestsKept + 10 }
    for (let i = 11; i <= last; i++) assert.strictEqual(machine.digest.at(i), known.get(i))
    for (const i of [1, 2, 10, last + 1]) assert.isUndefined(machine.digest.at(i))
    assert.strictEqual(machine.revision, last - 1 as Revision)
  })
})
