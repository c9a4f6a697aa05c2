/** What becomes of snapshots in a simulated cluster, and how many came one from another. */
import type { LogId } from "../domain/Position.ts"
import type { SnapshotId } from "../domain/Snapshot.ts"
import type { Coverage } from "./Coverage.ts"

export class SnapshotLedger {
  private readonly coverage: Coverage
  /** How many states each snapshot comes from, one installed from the other, by its last entry. */
  private readonly generations = new Map<string, number>()
  /** Bytes of the largest one. */
  largest = 0

  constructor(coverage: Coverage) {
    this.coverage = coverage
  }

  /** One was built of a state that itself was installed from so many others. */
  built({ bytes, last }: SnapshotId, generation: number): void {
    const name = nameOf(last)
    this.largest = Math.max(this.largest, bytes)
    this.generations.set(name, Math.max(generation + 1, this.generations.get(name) ?? 0))
  }

  /** It took the place of a state. Returns how many snapshots that state comes from. */
  installed(last: LogId): number {
    const generation = this.generations.get(nameOf(last)) ?? 1
    this.coverage.happened("install")
    if (generation > 1) this.coverage.happened("install of a later generation")
    return generation
  }

  /** The one on its way in was not whole yet when another began. */
  replaced(): void {
    this.coverage.happened("install given up for another")
  }

  /** The process ended while one was on its way in. */
  broken(): void {
    this.coverage.happened("install ended with its process")
  }
}

const nameOf = ({ index, term }: LogId): string => `${term}.${index}`
