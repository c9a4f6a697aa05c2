/** The checkpointed state on a simulated disk: rows, history and the meta record, each checkpoint one atomic step. */
import { Effect } from "effect"
import { StorageFailed } from "../DistKvError.ts"
import { compareKeys, type Entry, type Key, withoutValue } from "../domain/Entry.ts"
import type { ClusterId, NodeId } from "../domain/Identity.ts"
import type { LogId, LogIndex, Term } from "../domain/Position.ts"
import { SessionRowMap } from "../domain/SessionRow.ts"
import { MemoryReceiver, type ReadSnapshot, snapshotOf } from "../MemorySnapshot.ts"
import {
  type Checkpoint,
  headerOfState,
  type HistoryEvent,
  type IncomingSnapshot,
  metaOfSnapshot,
  type Scan,
  SnapshotUnwritten,
  type StateMeta,
  StateStore,
  type StoredSnapshot
} from "../StateStore.ts"
import type { SimDevice } from "./SimDevice.ts"
import type { DiskObserver } from "./SimDisk.ts"
import type { SimWorld } from "./SimWorld.ts"

/** What a state was at one moment. */
export interface StateCopy {
  readonly meta: StateMeta | null
  readonly installed: LogId | null
  readonly rows: ReadonlyMap<Key, Entry>
  readonly history: ReadonlyArray<HistoryEvent>
  readonly sessions: ReadonlyArray<Uint8Array>
}

export class SimState {
  meta: StateMeta | null = null
  /** The last entry of the snapshot installed last. */
  installed: LogId | null = null
  /** How many snapshots it comes from, one installed from the other. */
  private generation = 0
  /** Whether a snapshot is on its way in. */
  private isReceiving = false
  /** The row in which a bit was flipped; null where none was, or it was written anew. */
  private rotten: Key | null = null
  /** A bit that flips in the next piece of a snapshot that is kept, as a number that tells which. */
  private flip: number | null = null
  private rows = new Map<Key, Entry>()
  private history: Array<HistoryEvent> = []
  private sessions = new SessionRowMap()
  /** The keys in order; null when the set of keys has changed since. */
  private sorted: Array<Key> | null = null
  private readonly world: SimWorld
  private readonly node: NodeId
  private readonly device: SimDevice
  private readonly durableTermAt: (index: LogIndex) => Term | undefined
  private readonly observer: DiskObserver | null

  constructor(
    world: SimWorld,
    node: NodeId,
    device: SimDevice,
    durableTermAt: (index: LogIndex) => Term | undefined,
    observer: DiskObserver | null
  ) {
    this.world = world
    this.node = node
    this.device = device
    this.durableTermAt = durableTermAt
    this.observer = observer
  }

  /** The keys of all rows. */
  get keys(): ReadonlyArray<Key> {
    return [...this.rows.keys()]
  }

  /** Whether a row is damaged. */
  get isRotten(): boolean {
    return this.rotten !== null
  }

  /** Flips a bit of the row of this key. */
  flipRow(key: Key): void {
    this.rotten = key
  }

  /** A bit of the next piece of a snapshot that is kept flips: which, follows from the number. */
  flipNextPiece(which: number): void {
    this.flip = which
  }

  /** Pieces are kept as they come. */
  keepPieces(): void {
    this.flip = null
  }

  wipe(): void {
    this.rotten = null
    this.meta = null
    this.installed = null
    this.rows = new Map()
    this.history = []
    this.sessions = new SessionRowMap()
    this.sorted = null
  }

  /** Another process uses it from now on. */
  attach(): void {
    if (this.isReceiving) this.observer?.snapshots.broken()
    this.isReceiving = false
  }

  copy(): StateCopy {
    const { history, installed, meta, rows, sessions } = this
    return { meta, installed, rows: new Map(rows), history: [...history], sessions: sessions.all() }
  }

  restore(copy: StateCopy): void {
    this.rotten = null
    this.meta = copy.meta
    this.installed = copy.installed
    this.rows = new Map(copy.rows)
    this.history = [...copy.history]
    this.sessions = new SessionRowMap(copy.sessions)
    this.sorted = null
  }

  store(): StateStore["Service"] {
    return StateStore.of({
      recover: this.device.read(() => this.meta),
      checkpoint: (checkpoint) => {
        this.checkNotAhead(checkpoint.meta)
        const copy: Checkpoint = {
          meta: checkpoint.meta,
          rows: new Map([...checkpoint.rows].map(([key, entry]) => [key, entry === null ? null : copyOf(entry)])),
          history: [...checkpoint.history],
          sessions: checkpoint.sessions.map((row) => ({ ...row, bytes: row.bytes?.slice() ?? null }))
        }
        return Effect.suspend(() => this.device.write("checkpoint", () => this.apply(copy)))
      },
      getUnsafe: (key) => this.row(key),
      metadataUnsafe: (key) => this.row(key),
      scanUnsafe: (scan) => this.scan(scan),
      eventAtUnsafe: (revision) => this.history.find((event) => event.revision >= revision),
      sessionsUnsafe: () => this.sessions.all(),
      installed: this.device.read(() => this.installed),
      snapshot: (clusterId) => this.device.read(() => this.snapshot(clusterId)),
      receive: Effect.sync(() => this.receive())
    })
  }

  private snapshot(clusterId: ClusterId | null): StoredSnapshot | null {
    if (this.meta === null) return null
    const stored = snapshotOf(
      headerOfState(this.meta, clusterId),
      this.scan(everything),
      this.history,
      this.sessions.all()
    )
    this.world.timeline.mix(stored.id.checksum)
    this.observer?.snapshots.built(stored.id, this.generation)
    const read = (offset: number, length: number) =>
      Effect.flatMap(Effect.orDie(this.device.read(() => null)), () => stored.read(offset, length))
    return { ...stored, read }
  }

  /** What is received takes the time of writes, and is no part of the state until it is installed in one step. */
  private receive(): IncomingSnapshot {
    if (this.isReceiving) this.observer?.snapshots.replaced()
    this.isReceiving = true
    const receiver = new MemoryReceiver()
    let isDamaged = false
    let prepared: ReadSnapshot | null = null
    return {
      // A file beside the state: what becomes of it harms nothing else.
      append: (bytes) =>
        this.device.read(() => {
          isDamaged ||= this.flip !== null
          receiver.append(this.kept(bytes))
        }).pipe(
          Effect.mapError(({ message }) => new SnapshotUnwritten({ message }))
        ),
      prepare: Effect.gen({ self: this }, function*() {
        if (isDamaged) this.observer?.happened("damaged snapshot judged")
        const snapshot = yield* receiver.read
        if (isDamaged) {
          this.observer?.broken("D03", `${this.node} takes a snapshot in which a bit has flipped for whole`)
        }
        for (let i = 0; i < preparingWrites; i++) yield* this.device.write("snapshot", () => {})
        prepared = snapshot
        return snapshot.header
      }),
      install: Effect.suspend(() => {
        const snapshot = prepared
        if (snapshot === null) return Effect.fail(new StorageFailed({ message: "there is no prepared snapshot" }))
        return Effect.as(
          this.device.write("install", () => this.replace(snapshot)),
          metaOfSnapshot(snapshot.header)
        )
      })
    }
  }

  /** What is on the disk of a piece. */
  private kept(piece: Uint8Array): Uint8Array {
    const { flip } = this
    if (flip === null || piece.length === 0) return piece
    this.flip = null
    const kept = Uint8Array.from(piece)
    kept[flip % kept.length]! ^= 1 << (flip >>> 29)
    return kept
  }

  /** The row of this key as it is stored; who reads a damaged one learns so. */
  private row(key: Key): Entry | undefined {
    if (key !== this.rotten) return this.rows.get(key)
    this.observer?.happened("damaged row read")
    this.device.mustEnd("a damaged row")
    throw new StorageFailed({ message: `${this.node}: the row of ${key} is damaged: its checksum is wrong` })
  }

  private replace({ header, rows }: ReadSnapshot): void {
    this.rotten = null
    const meta = metaOfSnapshot(header)
    this.checkMonotonic(meta)
    this.meta = meta
    this.generation = this.observer?.snapshots.installed(header.last) ?? 1
    this.isReceiving = false
    this.installed = header.last
    this.rows = new Map(rows.flatMap((row) => row._tag === "Entry" ? [[row.entry.key, row.entry]] : []))
    this.history = rows.flatMap((row) => row._tag === "Event" ? [row.event] : [])
    this.sessions = new SessionRowMap(rows.flatMap((row) => row._tag === "Session" ? [row.row] : []))
    this.sorted = null
    this.world.timeline.mix(header.last.index)
  }

  private apply(checkpoint: Checkpoint): void {
    this.checkMonotonic(checkpoint.meta)
    this.meta = checkpoint.meta
    for (const [key, entry] of checkpoint.rows) {
      if (key === this.rotten) this.rotten = null
      if (this.rows.has(key) !== (entry !== null)) this.sorted = null
      if (entry === null) this.rows.delete(key)
      else this.rows.set(key, entry)
    }
    this.sessions.change(checkpoint.sessions)
    this.history.push(...checkpoint.history)
    this.history = this.history.filter((event) => event.revision > checkpoint.meta.compactRevision)
    this.world.timeline.mix(checkpoint.meta.applied.index)
  }

  private *scan(scan: Scan): Iterable<Entry> {
    this.sorted ??= [...this.rows.keys()].sort(compareKeys)
    const keys = scan.reverse ? [...this.sorted].reverse() : this.sorted
    for (const key of keys) {
      if (scan.from !== null && compareKeys(key, scan.from) < 0) continue
      if (scan.to !== null && compareKeys(key, scan.to) >= 0) continue
      if (scan.prefix !== null && !key.startsWith(scan.prefix)) continue
      const entry = this.row(key)
      if (entry !== undefined) yield scan.keysOnly ? withoutValue(entry) : entry
    }
  }

  /** The state may never be ahead of the durable log: after a crash nothing could tell what it contains. */
  private checkNotAhead(meta: StateMeta): void {
    const { index, term } = meta.applied
    if (index === 0 || this.durableTermAt(index) === term) return
    this.observer?.broken(
      "I8",
      `${this.node} checkpoints entry ${index} of term ${term}, which its own disk does not hold ` +
        `(there: ${this.durableTermAt(index) ?? "nothing"})`
    )
  }

  private checkMonotonic(meta: StateMeta): void {
    const before = this.meta
    if (before === null) return
    if (meta.applied.index < before.applied.index || meta.revision < before.revision) {
      this.observer?.broken(
        "I8",
        `${this.node} checkpoints applied ${meta.applied.index}, revision ${meta.revision} over ` +
          `${before.applied.index}, ${before.revision}`
      )
    }
  }
}

/** Commits that make a received snapshot readable, before the one that installs it. */
const preparingWrites = 3

const everything: Scan = { from: null, to: null, prefix: null, reverse: false, keysOnly: false }

const copyOf = (entry: Entry): Entry => ({ ...entry, value: Uint8Array.from(entry.value) })
