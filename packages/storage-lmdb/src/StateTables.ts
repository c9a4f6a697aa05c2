/**
 * The sub-databases that hold a state. There are two sets of them, generations 0 and 1: one is the state, into the
 * other a snapshot is installed, until a single row says that it is the state now.
 */
import type { Entry, HistoryEvent } from "@distkv/core"
import type { Batch, Environment, Rows } from "./Environment.ts"
import { reading } from "./Failure.ts"
import { BlockWriter } from "./HistoryBlocks.ts"
import { liesApart } from "./StateRows.ts"

export type Generation = 0 | 1

export const otherGeneration = (generation: Generation): Generation => generation === 0 ? 1 : 0

export class StateTables {
  readonly generation: Generation
  readonly kv: Rows
  readonly values: Rows
  readonly history: Rows
  readonly sessions: Rows
  /** Whether there may be rows in `values`, from which every change of a key has to remove. */
  private hasValues: boolean

  /** Throws `StorageFailed`. */
  constructor(environment: Environment, generation: Generation) {
    const suffix = generation === 0 ? "" : `.${generation}`
    const open = (name: string) => reading("the state cannot be read", () => environment.rows(name + suffix))
    this.generation = generation
    this.kv = open("kv")
    this.values = open("values")
    this.history = open("history")
    this.sessions = open("sessions")
    this.hasValues = !isEmptyUnsafe(this.values)
  }

  private get all(): ReadonlyArray<Rows> {
    return [this.kv, this.values, this.history, this.sessions]
  }

  get isEmpty(): boolean {
    return this.all.every(isEmptyUnsafe)
  }

  /** Adds an entry's row, as `RowArena` made it. */
  put(batch: Batch, keyBytes: Buffer, row: Buffer, { value }: Entry): void {
    batch.put(this.kv, keyBytes, row)
    if (liesApart(value)) {
      this.hasValues = true
      batch.put(this.values, keyBytes, Buffer.from(value.buffer, value.byteOffset, value.length))
    } else if (this.hasValues) batch.remove(this.values, keyBytes)
  }

  remove(batch: Batch, keyBytes: Buffer): void {
    batch.remove(this.kv, keyBytes)
    if (this.hasValues) batch.remove(this.values, keyBytes)
  }

  /** Takes events, in order, and puts them as blocks; `batch` is asked for at each block. */
  blockWriter(batch: () => Batch): Pick<BlockWriter, "flush"> & { readonly add: (event: HistoryEvent) => void } {
    return new BlockWriter((key, block) => batch().put(this.history, key, block))
  }

  clear(batch: Batch): void {
    for (const rows of this.all) batch.clear(rows)
    this.hasValues = false
  }
}

const isEmptyUnsafe = (rows: Rows): boolean =>
  reading("the state cannot be read", () => [...rows.getKeys({ limit: 1 })]).length === 0
