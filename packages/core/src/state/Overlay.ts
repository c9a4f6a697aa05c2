/** What applying the log has changed since a checkpoint: rows over those of the state store, and events. */
import type { Entry, Key } from "../domain/Entry.ts"
import { compareKeys, withoutValue } from "../domain/Entry.ts"
import type { Revision } from "../domain/Position.ts"
import type { HistoryEvent, Scan } from "../StateStore.ts"

/** Bytes that a change weighs beside its key and value: event, entry, metadata of the one before, place in the map. */
const changeOverhead = 512

export class Overlay {
  /** Null where the key was deleted. */
  readonly rows = new Map<Key, Entry | null>()
  readonly history: Array<HistoryEvent> = []
  /**
   * Bytes held, about: a value counts once for each of its key's changes, since each has an event; row and event share
   * it with the log record that brought it.
   */
  bytes = 0

  add(event: HistoryEvent): void {
    this.rows.set(event.key, event.entry)
    this.history.push(event)
    this.bytes += changeOverhead + event.key.length + (event.entry?.value.length ?? 0)
  }

  /** The first event of the given revision or of the next that has one. */
  eventAt(revision: Revision): HistoryEvent | undefined {
    let low = 0
    let high = this.history.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.history[middle]!.revision < revision) low = middle + 1
      else high = middle
    }
    return this.history[low]
  }

  /** The changed keys within a scan's bounds, in its direction. */
  keysWithin(scan: Scan): Array<Key> {
    const keys: Array<Key> = []
    for (const key of this.rows.keys()) if (isWithin(scan, key)) keys.push(key)
    keys.sort(compareKeys)
    return scan.reverse ? keys.reverse() : keys
  }
}

const whole = (entry: Entry): Entry => entry

/** Whether a key lies within the bounds of a scan. */
export const isWithin = (scan: Scan, key: string): boolean =>
  (scan.prefix === null || key.startsWith(scan.prefix)) &&
  (scan.from === null || compareKeys(key, scan.from) >= 0) &&
  (scan.to === null || compareKeys(key, scan.to) < 0)

/**
 * Lays an overlay over entries that come in the scan's order: changed keys replace, deleted ones vanish, new ones come
 * at their place. `below` honours `keysOnly` by itself.
 */
export function* overlaid(overlay: Overlay, scan: Scan, below: Iterable<Entry>): Generator<Entry, void> {
  const keys = overlay.keysWithin(scan)
  const shown = scan.keysOnly ? withoutValue : whole
  const direction = scan.reverse ? -1 : 1
  let at = 0
  for (const entry of below) {
    while (at < keys.length && compareKeys(keys[at]!, entry.key) * direction < 0) {
      const changed = overlay.rows.get(keys[at++]!)
      if (changed) yield shown(changed)
    }
    if (at < keys.length && keys[at] === entry.key) {
      const changed = overlay.rows.get(keys[at++]!)
      if (changed) yield shown(changed)
    } else yield entry
  }
  while (at < keys.length) {
    const changed = overlay.rows.get(keys[at++]!)
    if (changed) yield shown(changed)
  }
}
