/** The least that the key-value rule needs beneath it: rows and events in memory, kept as the rule says. */
import type { Entry, Key } from "../../src/domain/Entry.ts"
import { compareKeys } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import type { Applied, KeyValueView } from "../../src/rules/KeyValue.ts"
import type { HistoryEvent, Scan } from "../../src/StateStore.ts"

export class RowsView implements KeyValueView {
  readonly rows = new Map<Key, Entry>()
  events: Array<HistoryEvent> = []

  readonly get = (key: Key): Entry | undefined => this.rows.get(key)

  readonly metadata = this.get

  readonly scan = (scan: Scan): ReadonlyArray<Entry> =>
    [...this.rows.values()]
      .filter(({ key }) =>
        (scan.prefix === null || key.startsWith(scan.prefix)) &&
        (scan.from === null || compareKeys(key, scan.from) >= 0) &&
        (scan.to === null || compareKeys(key, scan.to) < 0)
      )
      .sort((a, b) => scan.reverse ? compareKeys(b.key, a.key) : compareKeys(a.key, b.key))
      .map((entry) => scan.keysOnly ? { ...entry, value: new Uint8Array(0) } : entry)

  readonly eventAt = (revision: Revision): HistoryEvent | undefined =>
    this.events.find((event) => event.revision >= revision)

  /** Makes what a command did visible to the next. */
  keep(applied: Applied): void {
    for (const event of applied.events) {
      if (event.entry === null) this.rows.delete(event.key)
      else this.rows.set(event.key, event.entry)
      this.events.push(event)
    }
  }

  /** What a checkpoint does some time after the history was cut. */
  forget(compactRevision: Revision): void {
    this.events = this.events.filter((event) => event.revision > compactRevision)
  }
}
