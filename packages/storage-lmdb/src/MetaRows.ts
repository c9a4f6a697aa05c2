/** The sub-database `meta` that each environment has: its format, whose it is, and where it stands. */
import type { HardState, StateMeta } from "@distkv/core"
import { Incarnation, LogId, Membership, NodeId, Revision, StorageFailed, Term } from "@distkv/core"
import { Schema } from "effect"
import type { Transaction } from "lmdb"
import type { Batch, Environment, Rows } from "./Environment.ts"
import { newerFormat, reading } from "./Failure.ts"
import type { SmallRow } from "./SmallRow.ts"
import { smallRow } from "./SmallRow.ts"

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** Whose environment it is: the same as in the identity file, or the directory was put together from several. */
export interface Owner {
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
}

const formatRow = smallRow("format", Schema.Int)

export const ownerRow: SmallRow<Owner> = smallRow("owner", Schema.Struct({ nodeId: NodeId, incarnation: Incarnation }))

export const hardStateRow: SmallRow<HardState> = smallRow(
  "hard state",
  Schema.Struct({ term: Term, votedFor: Schema.NullOr(NodeId) })
)

export const stateMetaRow: SmallRow<StateMeta> = smallRow(
  "state",
  Schema.Struct({
    applied: LogId,
    revision: Revision,
    compactRevision: Revision,
    historyBytes: count,
    historyCutBytes: count,
    keys: count,
    membership: Membership,
    digest: Schema.optionalKey(count)
  })
)

/** The position before the first entry of a log that was compacted. */
export const baseRow: SmallRow<LogId> = smallRow("base", LogId)

/** The last entry of the snapshot that was installed last. */
export const installedRow: SmallRow<LogId> = smallRow("installed", LogId)

/** Which of the two sets of sub-databases holds the state. */
export const generationRow: SmallRow<0 | 1> = smallRow("generation", Schema.Literals([0, 1]))

export class MetaRows {
  /**
   * The highest format of the environments' rows that this program knows; raised with any change that an older program
   * would misread. Format 2 is a state in which a snapshot was installed, and which may be that of generation 1.
   */
  static readonly format = 2
  private static readonly firstFormat = 1

  private readonly rows: Rows
  private readonly name: string

  private constructor(rows: Rows, name: string) {
    this.rows = rows
    this.name = name
  }

  /** Opens the rows of an environment, before anything else in it. Throws `StorageFailed` where the format is newer. */
  static openUnsafe(environment: Environment, name: string): MetaRows {
    const meta = new MetaRows(reading(`the ${name} cannot be read`, () => environment.rows("meta")), name)
    const found = meta.getUnsafe(formatRow)
    if (found !== null && found > MetaRows.format) throw newerFormat(`the ${name}`, found, MetaRows.format)
    return meta
  }

  /** The row, now or in a view, or null where it was never written. Throws `StorageFailed`. */
  getUnsafe<A>(row: SmallRow<A>, view?: { readonly transaction: Transaction }): A | null {
    const bytes = reading(`the ${this.name} cannot be read`, () => this.rows.getBinary(row.key, view))
    return bytes === undefined ? null : row.decodeUnsafe(bytes)
  }

  put<A>(batch: Batch, row: SmallRow<A>, value: A): void {
    batch.put(this.rows, row.key, row.encode(value))
  }

  /** Makes the environment that of `owner`. */
  claim(batch: Batch, owner: Owner): void {
    this.put(batch, formatRow, MetaRows.firstFormat)
    this.put(batch, ownerRow, owner)
  }

  /** From now on only programs that know of installed snapshots may read the environment. */
  raiseFormat(batch: Batch): void {
    this.put(batch, formatRow, MetaRows.format)
  }

  /** Throws `StorageFailed` where the environment belongs to somebody else. */
  checkOwnerUnsafe(owner: Owner): void {
    const found = this.getUnsafe(ownerRow)
    if (found !== null && (found.nodeId !== owner.nodeId || found.incarnation !== owner.incarnation)) {
      throw new StorageFailed({
        message:
          `the ${this.name} belongs to node ${found.nodeId} (incarnation ${found.incarnation}), but the identity ` +
          `file says ${owner.nodeId} (incarnation ${owner.incarnation}): put back the files that belong together`
      })
    }
  }
}
