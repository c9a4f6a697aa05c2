/**
 * The checkpointed state in memory: every law of the port except that it outlives the process.
 *
 * `MemoryState` is the plain data behind it. It survives the service, so that a test can open the same state again.
 */
import { Effect, Layer } from "effect"
import { StorageFailed } from "./DistKvError.ts"
import type { Entry, Key } from "./domain/Entry.ts"
import { compareKeys, withoutValue } from "./domain/Entry.ts"
import type { ClusterId } from "./domain/Identity.ts"
import type { LogId, Revision } from "./domain/Position.ts"
import { SessionRowMap } from "./domain/SessionRow.ts"
import { MemoryReceiver, type ReadSnapshot, snapshotOf } from "./MemorySnapshot.ts"
import type { Checkpoint, HistoryEvent, HistoryEvents, Scan, StateMeta, StoredSnapshot } from "./StateStore.ts"
import { headerOfState, metaOfSnapshot, StateStore } from "./StateStore.ts"

/** Rows, history and position of one store. A checkpoint is one synchronous step; reads may go on between any two. */
export class MemoryState {
  private meta: StateMeta | null = null
  private rows = new Map<Key, Entry>()
  /** The keys of `rows` in order of their UTF-8 bytes. */
  private keys: ReadonlyArray<Key> = []
  /** The events by the checkpoint that brought them; those at or below the compact revision are not shown any more. */
  private history: Array<HistoryEvents> = []
  private sessionRows = new SessionRowMap()
  /** The last entry of the snapshot installed last. */
  installed: LogId | null = null

  recover(): StateMeta | null {
    return this.meta
  }

  checkpoint({ history, meta, rows, sessions }: Checkpoint): void {
    const added: Array<Key> = []
    let removed = false
    for (const [key, entry] of rows) {
      if (entry === null) {
        removed = this.rows.delete(key) || removed
      } else {
        const before = this.rows.size
        this.rows.set(key, entry)
        if (this.rows.size > before) added.push(key)
      }
    }
    const kept = removed ? this.keys.filter((key) => this.rows.has(key)) : this.keys
    this.keys = added.length === 0 ? kept : merge(kept, added.sort(compareKeys))
    if (history.length > 0) this.history.push(history)
    const cut = partition(this.history, (events) => events.at(-1)!.revision <= meta.compactRevision)
    if (cut > 0) this.history.splice(0, cut)
    this.sessionRows.change(sessions)
    this.meta = meta
  }

  sessions(): Iterable<Uint8Array> {
    return this.sessionRows.all()
  }

  get(key: Key): Entry | undefined {
    return this.rows.get(key)
  }

  *scan(scan: Scan): Generator<Entry, void, undefined> {
    const { keys } = this
    const [begin, end] = bounds(keys, scan)
    for (let i = 0; i < end - begin; i++) {
      const entry = this.rows.get(keys[scan.reverse ? end - 1 - i : begin + i]!)!
      yield scan.keysOnly ? withoutValue(entry) : entry
    }
  }

  eventAt(revision: Revision): HistoryEvent | undefined {
    const first = Math.max(revision, (this.meta?.compactRevision ?? 0) + 1)
    const events = this.history[partition(this.history, (events) => events.at(-1)!.revision < first)]
    return events?.at(partition(events, (event) => event.revision < first))
  }

  /** A snapshot of what is there now. */
  snapshot(clusterId: ClusterId | null): StoredSnapshot | null {
    return this.meta === null
      ? null
      : snapshotOf(headerOfState(this.meta, clusterId), this.scan(everything), this.events(), this.sessions())
  }

  /** Makes a snapshot's content this state's, instead of all that was there. */
  install({ header, rows }: ReadSnapshot): StateMeta {
    const entries = rows.flatMap((row) => row._tag === "Entry" ? [row.entry] : [])
    this.rows = new Map(entries.map((entry) => [entry.key, entry]))
    this.keys = entries.map((entry) => entry.key)
    const events = rows.flatMap((row) => row._tag === "Event" ? [row.event] : [])
    this.history = events.length > 0 ? [events] : []
    this.sessionRows = new SessionRowMap(rows.flatMap((row) => row._tag === "Session" ? [row.row] : []))
    this.meta = metaOfSnapshot(header)
    this.installed = header.last
    return this.meta
  }

  private *events(): Generator<HistoryEvent, void> {
    const cut = this.meta?.compactRevision ?? 0
    for (const events of this.history) for (const event of events) if (event.revision > cut) yield event
  }
}

const everything: Scan = { from: null, to: null, prefix: null, reverse: false, keysOnly: false }

/** How many leading elements satisfy `before`, which holds for a beginning of `sorted` and for nothing after it. */
const partition = <A>(
  sorted: Pick<ReadonlyArray<A>, "length" | "at">,
  before: (element: A) => boolean
): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (before(sorted.at(middle)!)) low = middle + 1
    else high = middle
  }
  return low
}

/** Where in the sorted `keys` the scan begins (inclusive) and ends (exclusive). */
const bounds = (keys: ReadonlyArray<Key>, { from, prefix, to }: Scan): readonly [begin: number, end: number] => {
  const begin = partition(
    keys,
    (key) => (from !== null && compareKeys(key, from) < 0) || (prefix !== null && compareKeys(key, prefix) < 0)
  )
  const end = partition(
    keys,
    (key) =>
      (to === null || compareKeys(key, to) < 0) &&
      (prefix === null || compareKeys(key, prefix) < 0 || key.startsWith(prefix))
  )
  return [begin, end]
}

const merge = (left: ReadonlyArray<Key>, right: ReadonlyArray<Key>): ReadonlyArray<Key> => {
  const merged: Array<Key> = []
  let i = 0
  let j = 0
  while (i < left.length && j < right.length) {
    merged.push(compareKeys(left[i]!, right[j]!) < 0 ? left[i++]! : right[j++]!)
  }
  while (i < left.length) merged.push(left[i++]!)
  while (j < right.length) merged.push(right[j++]!)
  return merged
}

/** The port over a state that the caller keeps. */
export const make = (state: MemoryState): StateStore["Service"] =>
  StateStore.of({
    recover: Effect.sync(() => state.recover()),
    checkpoint: (checkpoint) => Effect.sync(() => state.checkpoint(checkpoint)),
    getUnsafe: (key) => state.get(key),
    metadataUnsafe: (key) => state.get(key),
    scanUnsafe: (scan) => state.scan(scan),
    eventAtUnsafe: (revision) => state.eventAt(revision),
    sessionsUnsafe: () => state.sessions(),
    installed: Effect.sync(() => state.installed),
    snapshot: (clusterId) => Effect.sync(() => state.snapshot(clusterId)),
    receive: Effect.sync(() => {
      const receiver = new MemoryReceiver()
      let prepared: ReadSnapshot | null = null
      return {
        append: (bytes) => Effect.sync(() => receiver.append(bytes)),
        prepare: Effect.map(receiver.read, (snapshot) => {
          prepared = snapshot
          return snapshot.header
        }),
        install: Effect.suspend(() =>
          prepared === null
            ? Effect.fail(new StorageFailed({ message: "there is no prepared snapshot to install" }))
            : Effect.succeed(state.install(prepared))
        )
      }
    })
  })

/** A state of its own, gone with the Layer. */
export const layer: Layer.Layer<StateStore> = Layer.sync(StateStore, () => make(new MemoryState()))
