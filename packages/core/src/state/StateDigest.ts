/**
 * A digest of what applying the log has done to the store, kept beside the state: one number that two replicas which
 * have applied the same entries have in common, as long as every entry did the same on both.
 *
 * It is a chain: each applied entry is mixed into what all before it made, by the checksum of its record (which stands
 * for the command) and by what it did here (the store's counters, and of each change its revisions and version). So it
 * costs some twenty multiplications per write, whatever the size of the store, and a difference stays for ever. It is
 * no protection from forgery.
 *
 * The chain begins with the config entry that first names the feature `digests`, the same entry on every node; before
 * it there is none. A checkpoint and a snapshot carry it along.
 */
import type { StoreCounters } from "../rules/KeyValue.ts"
import type { HistoryEvent } from "../StateStore.ts"

const twoTo32 = 2 ** 32
/** The digest is a safe integer: 32 bits, and 21 above them. */
const highMask = 0x1f_ffff

/** For how many entries back the digest is known; a power of two. */
export const digestsKept = 8192

export class StateDigest {
  private low = 0
  private high = 0
  private begun = false
  /** Digests of the last indexes, each at its index modulo the length. */
  private readonly recent = new Float64Array(digestsKept)
  /** The first and the last index whose digest is among them. */
  private from = 1
  private last = 0

  /** Goes on from the digest of a checkpoint or snapshot at `index`; undefined where the chain had not begun. */
  resume(digest: number | undefined, index: number): void {
    this.begun = digest !== undefined
    this.low = (digest ?? 0) >>> 0
    this.high = Math.floor((digest ?? 0) / twoTo32)
    this.from = index
    this.last = index
    if (digest !== undefined) this.recent[index % digestsKept] = digest
    else this.from = index + 1
  }

  /** The digest after the last applied entry; undefined before the chain begins. */
  get current(): number | undefined {
    return this.begun ? this.high * twoTo32 + this.low : undefined
  }

  /** The digest after the entry at `index`, if it is remembered. */
  at(index: number): number | undefined {
    return index >= this.from && index <= this.last && index > this.last - digestsKept
      ? this.recent[index % digestsKept]
      : undefined
  }

  /** Begins the chain before the entry that comes next, unless it has begun. */
  begin(index: number): void {
    if (this.begun) return
    this.begun = true
    this.from = index
  }

  /** Takes note of a change that the entry at hand makes; the values themselves are vouched for by its record. */
  changed({ entry, previous }: HistoryEvent): void {
    if (!this.begun) return
    this.mix(entry === null ? 0 : entry.createRevision ^ (entry.version << 8))
    if (previous !== null) this.mix(previous.modRevision)
  }

  /**
   * Takes note that the entry is applied: the checksum of its record, where it left the counters, and with which kind
   * of answer, where its session had a word in that.
   */
  applied(index: number, checksum: number, counters: StoreCounters, answered: number): void {
    if (!this.begun) return
    this.mix(checksum)
    this.mix(counters.revision)
    this.mix(counters.keys)
    this.mix(counters.historyBytes)
    this.mix(counters.compactRevision ^ answered)
    this.last = index
    this.recent[index % digestsKept] = this.high * twoTo32 + this.low
  }

  /** Multiply, rotate, and let either half into the other; numbers beyond 32 bits count by their lower ones. */
  private mix(word: number): void {
    const low = Math.imul(this.low ^ word, 0x9e37_79b1)
    const mixed = (low << 13) | (low >>> 19)
    const high = Math.imul(this.high ^ mixed, 0x85eb_ca77)
    this.high = (high >>> 11) & highMask
    this.low = (mixed ^ high) >>> 0
  }
}
