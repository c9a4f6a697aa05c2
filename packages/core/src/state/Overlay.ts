/**
 * The state as of the last applied entry: what applying has changed since a checkpoint, over the state store.
 *
 * Changes gather in a layer; a checkpoint freezes it, and until the store shows what was in it, it lies between the
 * store and the next layer. Of keys that were looked at, what the next change of them needs (all but their values) is
 * remembered beyond that, and of keys that are read, their values too: a key in use costs one look-up and no read of
 * the store.
 *
 * Invariant: a remembered key that no layer has is in the store just as it is remembered.
 */
import type { Entry, EntryMetadata, Key } from "../domain/Entry.ts"
import { compareKeys, withoutValue } from "../domain/Entry.ts"
import type { PreviousEntry } from "../domain/HistoryEvent.ts"
import type { Revision } from "../domain/Position.ts"
import type { Checkpoint, HistoryEvent, Scan, StateStore } from "../StateStore.ts"
import { EventList } from "./EventList.ts"
import { Remembering } from "./Remembering.ts"

/** Bytes that a change weighs beside its key and value: its event, and the place of its key. */
const changeOverhead = 256
/** How many keys are remembered that no layer has. */
const rememberedMost = 32_768
/** How many bytes of entries are remembered with their values, so many of them for what is around a value, … */
const valuesMost = 16 * 1024 * 1024
const valueOverhead = 256
/** … and how large one may be, so that a few do not make all others forgotten. */
const valueMost = 256 * 1024

/** The changes between two checkpoints. */
class Layer {
  readonly number: number
  readonly events = new EventList()
  /** How many keys it changes. */
  keys = 0
  bytes = 0

  constructor(number: number) {
    this.number = number
  }
}

/** One key as the last applied entry left it; changed in place. */
class Row implements PreviousEntry {
  readonly key: Key
  /** The number of the newest layer that changes it, and its last event there; once that is saved, the store has it. */
  layer = 0
  event = 0
  isPresent = false
  createRevision = 0 as Revision
  modRevision = 0 as Revision
  version = 0
  leaseId: Revision | null = null
  /** As the store shows it; null where that is not remembered, or a layer changes it. */
  entry: Entry | null = null

  constructor(key: Key) {
    this.key = key
  }

  become({ createRevision, leaseId, modRevision, version }: PreviousEntry): void {
    this.isPresent = true
    this.createRevision = createRevision
    this.modRevision = modRevision
    this.version = version
    this.leaseId = leaseId
  }
}

type Store = Pick<StateStore["Service"], "getUnsafe" | "metadataUnsafe" | "scanUnsafe" | "eventAtUnsafe">

export class Overlay {
  private readonly store: Store
  private readonly rows = new Map<Key, Row>()
  private active = new Layer(1)
  private frozen: Layer | null = null
  /** The number of the last layer that the store shows. */
  private saved = 0
  /** The row that was looked at last: the one that changes next, most often. */
  private last: Row | null = null
  /** The weight of all entries that rows remember. */
  private valueBytes = 0
  private readonly habit = new Remembering()

  constructor(store: Store) {
    this.store = store
  }

  /**
   * Bytes held, about: a value counts once for each of its key's changes, since each has an event; an event shares it
   * with the log record that brought it.
   */
  get bytes(): number {
    return this.active.bytes + (this.frozen?.bytes ?? 0)
  }

  get isFrozen(): boolean {
    return this.frozen !== null
  }

  /** What is returned is the overlay's own, and changes with the next event of the key. */
  metadata(key: Key): EntryMetadata | undefined {
    const row = this.rows.get(key) ?? this.remember(key)
    this.last = row
    return row.isPresent ? row : undefined
  }

  get(key: Key): Entry | undefined {
    const row = this.rows.get(key)
    if (row === undefined) return this.read(key)
    if (!row.isPresent) return undefined
    if (row.entry !== null) {
      this.habit.answered()
      return row.entry
    }
    const layer = this.layerOf(row)
    return layer === null ? this.read(key) : layer.events.entryAt(row.event)!
  }

  /** Takes a change; events come in their order. */
  add(event: HistoryEvent): void {
    const { active } = this
    const { entry, key } = event
    const row = this.last !== null && this.last.key === key ? this.last : this.rows.get(key) ?? this.place(key)
    if (row.layer === active.number) active.events.supersede(row.event)
    else {
      row.layer = active.number
      active.keys++
    }
    row.event = active.events.length
    if (row.entry !== null) {
      this.valueBytes -= weightOf(row.entry)
      row.entry = null
    }
    if (entry === null) row.isPresent = false
    else row.become(entry)
    active.events.add(event)
    active.bytes += changeOverhead + key.length + (entry === null ? 0 : entry.value.length)
  }

  /** The first event kept of the given revision or of the next that has one. */
  eventAt(revision: Revision): HistoryEvent | undefined {
    const { active, frozen } = this
    // Older events lie in the store, newer ones in the frozen layer, the newest in the active one.
    const first = frozen?.events.firstRevision ?? active.events.firstRevision
    if (first === undefined || revision < first) {
      const event = this.store.eventAtUnsafe(revision)
      if (event !== undefined) return event
    }
    return frozen?.events.eventAt(revision) ?? active.events.eventAt(revision)
  }

  /** The changed keys replace those of the store, deleted ones vanish, new ones come at their place. */
  *scan(scan: Scan): Generator<Entry, void> {
    const changed = this.changedWithin(scan)
    const direction = scan.reverse ? -1 : 1
    let at = 0
    for (const entry of this.store.scanUnsafe(scan)) {
      while (at < changed.length && compareKeys(changed[at]!.key, entry.key) * direction < 0) {
        const row = changed[at++]!
        if (row.isPresent) yield this.shown(row, scan)
      }
      if (at < changed.length && changed[at]!.key === entry.key) {
        const row = changed[at++]!
        if (row.isPresent) yield this.shown(row, scan)
      } else yield entry
    }
    while (at < changed.length) {
      const row = changed[at++]!
      if (row.isPresent) yield this.shown(row, scan)
    }
  }

  /** Takes what has changed since the last call for a checkpoint; it goes on to be seen here. */
  freeze(): Pick<Checkpoint, "rows" | "history"> {
    if (this.frozen !== null) throw new Error("a checkpoint is under way")
    const { events, number } = this.active
    this.frozen = this.active
    this.active = new Layer(number + 1)
    return { rows: { [Symbol.iterator]: () => events.rows() }, history: events }
  }

  /** The store shows what the frozen layer did. */
  thaw(): void {
    if (this.frozen !== null) this.saved = this.frozen.number
    this.frozen = null
  }

  /** The store holds something else altogether. */
  clear(): void {
    this.rows.clear()
    this.last = null
    this.valueBytes = 0
    this.saved = this.active.number
    this.active = new Layer(this.saved + 1)
  }

  private remember(key: Key): Row {
    const metadata = this.store.metadataUnsafe(key)
    const row = this.place(key)
    if (metadata !== undefined) row.become(metadata)
    return row
  }

  /** Reads what no layer has, and remembers it now and then. */
  private read(key: Key): Entry | undefined {
    const entry = this.store.getUnsafe(key)
    if (!this.habit.takes()) return entry
    const weight = entry === undefined ? 0 : weightOf(entry)
    if (weight > valueMost) return entry
    if (this.valueBytes + weight > valuesMost) this.forget()
    const row = this.rows.get(key) ?? this.place(key)
    if (entry !== undefined) {
      row.become(entry)
      row.entry = alone(entry)
      this.valueBytes += weight
      this.habit.remembered()
    }
    return entry
  }

  /** Forgets all keys that no layer has. */
  private forget(): void {
    this.habit.forgets()
    for (const row of this.rows.values()) if (row.layer <= this.saved) this.rows.delete(row.key)
    this.last = null
    this.valueBytes = 0
  }

  private place(key: Key): Row {
    if (this.rows.size - this.active.keys - (this.frozen?.keys ?? 0) >= rememberedMost) this.forget()
    const row = new Row(key)
    this.rows.set(key, row)
    return row
  }

  /** The layer that holds what a row is; null where the store shows it. */
  private layerOf({ layer }: Row): Layer | null {
    return layer === this.active.number ? this.active : layer <= this.saved ? null : this.frozen
  }

  private shown(row: Row, { keysOnly }: Scan): Entry {
    const entry = this.layerOf(row)!.events.entryAt(row.event)!
    return keysOnly ? withoutValue(entry) : entry
  }

  /** The changed rows within a scan's bounds, in its direction. */
  private changedWithin(scan: Scan): Array<Row> {
    const rows: Array<Row> = []
    for (const layer of this.frozen === null ? [this.active] : [this.active, this.frozen]) {
      const { events } = layer
      for (let i = 0; i < events.length; i++) {
        if (!events.isLast(i) || !isWithin(scan, events.keyAt(i))) continue
        const row = this.rows.get(events.keyAt(i))!
        // What has changed again is among the keys of the newer layer.
        if (row.layer === layer.number) rows.push(row)
      }
    }
    rows.sort((a, b) => compareKeys(a.key, b.key))
    return scan.reverse ? rows.reverse() : rows
  }
}

/** The entry with a value that keeps no other bytes in memory, which those that stores hand out may do. */
const alone = (entry: Entry): Entry =>
  entry.value.buffer.byteLength === entry.value.length ? entry : { ...entry, value: entry.value.slice() }

const weightOf = (entry: Entry): number => entry.value.length + valueOverhead

/** Whether a key lies within the bounds of a scan. */
const isWithin = (scan: Scan, key: string): boolean =>
  (scan.prefix === null || key.startsWith(scan.prefix)) &&
  (scan.from === null || compareKeys(key, scan.from) >= 0) &&
  (scan.to === null || compareKeys(key, scan.to) < 0)
