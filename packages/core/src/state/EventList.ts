/**
 * Events in their order, held as numbers in a few arrays instead of as objects: a busy node keeps a hundred thousand of
 * them, and what the garbage collector would copy, mark and scatter over the heap is most of what applying costs.
 *
 * An event is made into an object where somebody looks at it. Values are views of the bytes that brought them.
 */
import type { Entry, Key } from "../domain/Entry.ts"
import type { PreviousEntry } from "../domain/HistoryEvent.ts"
import type { Revision } from "../domain/Position.ts"
import type { HistoryEvent } from "../StateStore.ts"

/** Events in one piece of the list; a power of two. */
const pieceEvents = 128
const pieceShift = 7
const placeMask = pieceEvents - 1
/** Numbers of one event, by their place: */
const numbersPerEvent = 12
const revisionAt = 0
const positionAt = 1
const historyBytesAt = 2
const createRevisionAt = 3
const versionAt = 4
const leaseAt = 5
const valueOffsetAt = 6
const valueLengthAt = 7
/** Mod revision of the entry before, 0 where there was none; then the rest of it. */
const previousAt = 8
const previousCreateAt = 9
const previousVersionAt = 10
const previousLeaseAt = 11
/** Stands for no lease. */
const none = -1

/** So many events; arrays of a fixed length, which never grow. */
class Piece {
  readonly keys: Array<Key | null> = new Array<Key | null>(pieceEvents).fill(null)
  /** Where the value lies; null where the event deleted its key. */
  readonly sources: Array<ArrayBufferLike | null> = new Array<ArrayBufferLike | null>(pieceEvents).fill(null)
  readonly numbers = new Float64Array(pieceEvents * numbersPerEvent)
}

export class EventList implements Iterable<HistoryEvent> {
  private readonly pieces: Array<Piece> = []
  private count = 0
  /** 1 where a later event changes the key again. All in one array: it is written to anywhere, not only at its end. */
  private superseded = new Uint8Array(8 * pieceEvents)

  get length(): number {
    return this.count
  }

  /** Adds the event that follows all before it; its entry's mod revision is its own revision. */
  add({ entry, historyBytes, key, position, previous, revision }: HistoryEvent): void {
    const place = this.count++ & placeMask
    if (place === 0) this.grow()
    const { keys, numbers, sources } = this.pieces[this.pieces.length - 1]!
    const at = place * numbersPerEvent
    keys[place] = key
    numbers[at + revisionAt] = revision
    numbers[at + positionAt] = position
    numbers[at + historyBytesAt] = historyBytes
    if (entry !== null) {
      sources[place] = entry.value.buffer
      numbers[at + createRevisionAt] = entry.createRevision
      numbers[at + versionAt] = entry.version
      numbers[at + leaseAt] = entry.leaseId ?? none
      numbers[at + valueOffsetAt] = entry.value.byteOffset
      numbers[at + valueLengthAt] = entry.value.length
    }
    if (previous !== null) {
      numbers[at + previousAt] = previous.modRevision
      numbers[at + previousCreateAt] = previous.createRevision
      numbers[at + previousVersionAt] = previous.version
      numbers[at + previousLeaseAt] = previous.leaseId ?? none
    }
  }

  /** An event that comes now changes the same key as the one at `index`. */
  supersede(index: number): void {
    this.superseded[index] = 1
  }

  /** As of an array: below 0 it counts from the end. */
  at(place: number): HistoryEvent | undefined {
    const index = place < 0 ? place + this.count : place
    if (index < 0 || index >= this.count) return undefined
    const { keys, numbers } = this.pieces[index >> pieceShift]!
    const at = (index & placeMask) * numbersPerEvent
    return {
      revision: integer(numbers[at + revisionAt]!) as Revision,
      position: integer(numbers[at + positionAt]!),
      key: keys[index & placeMask]!,
      entry: this.entryAt(index),
      previous: numbers[at + previousAt] === 0 ? null : previousOf(numbers, at),
      historyBytes: integer(numbers[at + historyBytesAt]!)
    }
  }

  /** The entry that the event left; null where it deleted its key. */
  entryAt(index: number): Entry | null {
    const { keys, numbers, sources } = this.pieces[index >> pieceShift]!
    const place = index & placeMask
    const source = sources[place]!
    if (source === null) return null
    const at = place * numbersPerEvent
    return {
      key: keys[place]!,
      value: new Uint8Array(source, numbers[at + valueOffsetAt], numbers[at + valueLengthAt]),
      createRevision: integer(numbers[at + createRevisionAt]!) as Revision,
      modRevision: integer(numbers[at + revisionAt]!) as Revision,
      version: integer(numbers[at + versionAt]!),
      leaseId: leaseOf(numbers[at + leaseAt]!)
    }
  }

  /** Each key that the events change, with the entry that the last of them left. */
  *rows(): Generator<readonly [Key, Entry | null], void> {
    for (let i = 0; i < this.count; i++) if (this.isLast(i)) yield [this.keyAt(i), this.entryAt(i)]
  }

  /** Whether no later event of the list changes the key of the one at `index`. */
  isLast(index: number): boolean {
    return this.superseded[index] === 0
  }

  keyAt(index: number): Key {
    return this.pieces[index >> pieceShift]!.keys[index & placeMask]!
  }

  /** The first event of the given revision or of the next that has one. */
  eventAt(revision: Revision): HistoryEvent | undefined {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.revisionAt(middle) < revision) low = middle + 1
      else high = middle
    }
    return this.at(low)
  }

  /** The revision of the first event; undefined where there is none. */
  get firstRevision(): Revision | undefined {
    return this.count === 0 ? undefined : this.revisionAt(0)
  }

  *[Symbol.iterator](): Generator<HistoryEvent, void> {
    for (let i = 0; i < this.count; i++) yield this.at(i)!
  }

  private grow(): void {
    this.pieces.push(new Piece())
    if (this.count <= this.superseded.length) return
    const superseded = new Uint8Array(2 * this.superseded.length)
    superseded.set(this.superseded)
    this.superseded = superseded
  }

  private revisionAt(index: number): Revision {
    const { numbers } = this.pieces[index >> pieceShift]!
    return integer(numbers[(index & placeMask) * numbersPerEvent + revisionAt]!) as Revision
  }
}

/**
 * A number as the rest of the program has it: what comes out of an array of doubles is one to the engine, and whatever
 * object got it would be laid out anew for it.
 */
const integer = (number: number): number => number <= 0x3fff_ffff ? number | 0 : number

const leaseOf = (number: number): Revision | null => number === none ? null : integer(number) as Revision

const previousOf = (numbers: Float64Array, at: number): PreviousEntry => ({
  createRevision: integer(numbers[at + previousCreateAt]!) as Revision,
  modRevision: integer(numbers[at + previousAt]!) as Revision,
  version: integer(numbers[at + previousVersionAt]!),
  leaseId: leaseOf(numbers[at + previousLeaseAt]!)
})
