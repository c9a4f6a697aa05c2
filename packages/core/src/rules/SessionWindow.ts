/**
 * What a session remembers of its commands (thesis §6.3): a row for each sequence within a window that only moves up.
 *
 * The window begins at the lowest sequence whose answer has not arrived, as the session's owner says, and is never
 * longer than `most`; so the memory is bounded whatever the owner does. A row is four numbers, no object: the members'
 * own sessions get one for every write that they forward.
 *
 * Invariant: a sequence below `floor` is never found and never added; two sequences of the window never share a place.
 */

/** How a command ended, as a row keeps it. Numbers are never used again for anything else. */
export const status = {
  done: 1,
  putCreated: 2,
  putReplaced: 3,
  deleted: 4,
  compareFailed: 5,
  tooManyEntries: 6,
  sessionOpened: 7,
  sealed: 8
} as const

/** Room for a row's status beside its digest. */
const statuses = 16
/** Numbers of a row: sequence, digest and status, revision, and one whose meaning depends on the status. */
const rowNumbers = 4
const firstCapacity = 16

export class SessionWindow {
  /** The most sequences it spans; a power of two. */
  readonly most: number
  /** Sequences below are forgotten. */
  floor = 1
  /** The highest sequence added. */
  highest = 0
  private capacity = firstCapacity
  private rows = new Float64Array(firstCapacity * rowNumbers)

  constructor(most: number) {
    this.most = most
  }

  /** The place of a sequence's row, -1 where it has none. */
  find(sequence: number): number {
    if (sequence < this.floor) return -1
    const place = (sequence % this.capacity) * rowNumbers
    return this.rows[place] === sequence ? place : -1
  }

  statusAt(place: number): number {
    return this.rows[place + 1]! % statuses
  }

  digestAt(place: number): number {
    return Math.floor(this.rows[place + 1]! / statuses)
  }

  revisionAt(place: number): number {
    return this.rows[place + 2]!
  }

  numberAt(place: number): number {
    return this.rows[place + 3]!
  }

  /** Forgets what is below `floor`. */
  raise(floor: number): void {
    if (floor > this.floor) this.floor = floor
  }

  /** Adds a row at or above the floor; what this moves out of the window is forgotten. */
  add(sequence: number, statusOf: number, digest: number, revision: number, number: number): void {
    if (sequence > this.highest) {
      this.highest = sequence
      this.raise(sequence - this.most + 1)
    }
    if (this.highest - this.floor >= this.capacity) this.grow()
    const place = (sequence % this.capacity) * rowNumbers
    this.rows[place] = sequence
    this.rows[place + 1] = digest * statuses + statusOf
    this.rows[place + 2] = revision
    this.rows[place + 3] = number
  }

  /** The places of the rows from `from` to `to`, in order of their sequences. */
  *placesBetween(from: number, to: number): Generator<number, void, undefined> {
    const last = Math.min(to, this.highest)
    for (let sequence = Math.max(from, this.floor); sequence <= last; sequence++) {
      const place = this.find(sequence)
      if (place >= 0) yield place
    }
  }

  sequenceAt(place: number): number {
    return this.rows[place]!
  }

  private grow(): void {
    const { capacity, rows } = this
    while (this.capacity <= this.highest - this.floor) this.capacity *= 2
    this.rows = new Float64Array(this.capacity * rowNumbers)
    for (let place = 0; place < capacity * rowNumbers; place += rowNumbers) {
      const sequence = rows[place]!
      if (sequence < this.floor || sequence === 0) continue
      const target = (sequence % this.capacity) * rowNumbers
      for (let i = 0; i < rowNumbers; i++) this.rows[target + i] = rows[place + i]!
    }
  }
}
