/**
 * The store in its simplest form, executing one command after another: what every answer of the cluster is compared
 * with. Written apart from the production rule, so that the two cannot share a mistake.
 */
import type { Command, KeyRange } from "../domain/Command.ts"
import { textOf } from "./AppliedHistory.ts"
import type { ShownEntry } from "./EntryModel.ts"

export interface StoredEntry extends ShownEntry {
  readonly version: number
}

export class SequentialStore {
  readonly entries = new Map<string, StoredEntry>()
  revision = 0

  /** Executes a command; true when it changed something, and then at `revision`. */
  execute(command: Command): boolean {
    switch (command._tag) {
      case "Put": {
        const current = this.entries.get(command.key)
        const { ifRevision } = command
        if (ifRevision !== null && (current?.modRevision ?? 0) !== ifRevision) return false
        this.revision++
        this.put(command.key, command.value)
        return true
      }
      case "Txn":
        if (command.puts.length === 0) return false
        this.revision++
        for (const put of command.puts) this.put(put.key, put.value)
        return true
      case "Delete": {
        const current = this.entries.get(command.key)
        if (current === undefined) return false
        if (command.ifRevision !== null && current.modRevision !== command.ifRevision) return false
        this.revision++
        this.entries.delete(command.key)
        return true
      }
      case "DeleteRange": {
        const keys = [...this.entries.keys()].filter((key) => isIn(command.range, key))
        if (keys.length === 0 || keys.length > 10_000) return false
        this.revision++
        for (const key of keys) this.entries.delete(key)
        return true
      }
      case "NoOp":
      case "Configure":
      case "OpenSession":
      case "Seal":
      case "CutHistory":
        return false
    }
  }

  private put(key: string, value: Uint8Array): void {
    const version = (this.entries.get(key)?.version ?? 0) + 1
    this.entries.set(key, { value: textOf(value), modRevision: this.revision, version })
  }
}

const isIn = (range: KeyRange, key: string): boolean => {
  switch (range._tag) {
    case "All":
      return true
    case "Prefix":
      return key.startsWith(range.prefix)
    case "Between": {
      const bytes = Buffer.from(key)
      return (range.from === null || Buffer.compare(bytes, Buffer.from(range.from)) >= 0) &&
        (range.to === null || Buffer.compare(bytes, Buffer.from(range.to)) < 0)
    }
  }
}
