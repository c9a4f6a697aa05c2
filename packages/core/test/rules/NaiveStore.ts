/**
 * The store's semantics once more, written for obviousness: one sorted list, rebuilt by every command, and the whole
 * history of what was written. The rule is compared with it.
 */
import type { Command } from "../../src/domain/Command.ts"
import type { Entry, Key } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"

/** What was done to one key. */
export interface Write {
  readonly revision: number
  readonly key: Key
  readonly value: Uint8Array | null
  /** What the entry before was, without its value. */
  readonly before: Omit<Entry, "key" | "value"> | null
}

export interface Answer {
  readonly says: "done" | "created" | "replaced" | "refused" | "too many"
  /** How many keys changed. */
  readonly changed: number
  /** The entry that the key had, where the command is about one key. */
  readonly found: Entry | null
}

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8")

const isBefore = (a: string, b: string): boolean => Buffer.compare(bytesOf(a), bytesOf(b)) < 0

export class NaiveStore {
  revision = 0
  compactRevision = 0
  entries: ReadonlyArray<Entry> = []
  writes: ReadonlyArray<Write> = []

  find(key: string): Entry | null {
    return this.entries.find((entry) => entry.key === key) ?? null
  }

  /** Keys and values of all writes up to a revision. */
  bytesUpTo(revision: number): number {
    return this.writes
      .filter((write) => write.revision <= revision)
      .reduce((sum, { key, value }) => sum + bytesOf(key).length + (value?.length ?? 0), 0)
  }

  run(command: Command): Answer {
    switch (command._tag) {
      case "Put":
      case "Delete": {
        const found = this.find(command.key)
        const guard = command.ifRevision
        const passes = guard === null || (guard === 0 ? found === null : found?.modRevision === guard)
        if (!passes) return { says: "refused", changed: 0, found }
        const changed = command._tag === "Put"
          ? this.write([[command.key, command.value]], command.leaseId)
          : this.write([[command.key, null]], null)
        return { says: found === null ? "created" : "replaced", changed, found }
      }
      case "DeleteRange": {
        const doomed = this.entries.filter(({ key }) => isWithin(command.range, key))
        if (doomed.length > 10_000) return { says: "too many", changed: 0, found: null }
        return { says: "done", changed: this.write(doomed.map(({ key }) => [key, null]), null), found: null }
      }
      case "Txn":
        return {
          says: "done",
          changed: this.write(command.puts.map(({ key, value }) => [key, value]), null),
          found: null
        }
      case "CutHistory":
        if (command.revision > this.compactRevision) this.compactRevision = Math.min(command.revision, this.revision)
        return { says: "done", changed: 0, found: null }
      case "NoOp":
      case "Configure":
      case "OpenSession":
      case "Seal":
        return { says: "done", changed: 0, found: null }
    }
  }

  private write(
    wanted: ReadonlyArray<readonly [key: Key, value: Uint8Array | null]>,
    leaseId: Revision | null
  ): number {
    const writes = wanted.filter(([key, value]) => value !== null || this.find(key) !== null)
    if (writes.length === 0) return 0
    this.revision++
    for (const [key, value] of writes) {
      const found = this.find(key)
      const before = found === null ? null : metadataOf(found)
      this.writes = [...this.writes, { revision: this.revision, key, value, before }]
      const others = this.entries.filter((entry) => entry.key !== key)
      const written = value === null ? [] : [{
        key,
        value,
        createRevision: before?.createRevision ?? this.revision as Revision,
        modRevision: this.revision as Revision,
        version: (before?.version ?? 0) + 1,
        leaseId
      }]
      this.entries = [
        ...others.filter((entry) => isBefore(entry.key, key)),
        ...written,
        ...others.filter((entry) => isBefore(key, entry.key))
      ]
    }
    return writes.length
  }
}

const metadataOf = ({ createRevision, leaseId, modRevision, version }: Entry): NonNullable<Write["before"]> => ({
  createRevision,
  modRevision,
  version,
  leaseId
})

const isWithin = (range: Extract<Command, { _tag: "DeleteRange" }>["range"], key: string): boolean => {
  switch (range._tag) {
    case "All":
      return true
    case "Prefix":
      return bytesOf(key).subarray(0, bytesOf(range.prefix).length).equals(bytesOf(range.prefix))
    case "Between":
      return (range.from === null || !isBefore(key, range.from)) && (range.to === null || isBefore(key, range.to))
  }
}
