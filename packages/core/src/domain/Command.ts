/** What clients and the cluster itself may ask of the replicated state machine. */
import { Schema } from "effect"
import { isBound, Key } from "./Entry.ts"
import { NodeId } from "./Identity.ts"
import { Membership } from "./Membership.ts"
import { Revision } from "./Position.ts"

/** The most entries that one range delete removes. */
export const maxDeleteRange = 10_000

/** The most keys that one multi-key command writes. */
export const maxTxnOperations = 128

/** A bound of a range. It need not be a key: it may be empty, and one byte longer than the longest key. */
const Bound = Schema.String.check(
  Schema.makeFilter((text: string) => isBound(text) || "a bound is a well-formed string of at most 1025 bytes in UTF-8")
)

/** What a multi-key command does to one key. */
const TxnPut = Schema.Struct({ key: Key, value: Schema.Uint8Array })

/** Which keys a range means: by prefix, from `from` (inclusive) to `to` (exclusive, null: to the end), or all. */
export const KeyRange = Schema.TaggedUnion({
  Prefix: { prefix: Key },
  Between: { from: Schema.NullOr(Bound), to: Schema.NullOr(Bound) },
  All: {}
})
export type KeyRange = typeof KeyRange.Type

/** The member that a session belongs to, and which start of its process. */
export const SessionOwner = Schema.Struct({
  member: NodeId,
  run: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
})
export type SessionOwner = typeof SessionOwner.Type

/**
 * A command. One that changes at least one entry raises the store's revision by exactly 1.
 *
 * - `NoOp`: what a new leader commits first (thesis §6.4); never changes the revision.
 * - `Put`: `ifRevision` null is unconditional, 0 creates only, n compares with the entry's `modRevision`;
 *   `previous` asks for the entry replaced.
 * - `Delete`: `ifRevision` as for `Put`, but never 0.
 * - `DeleteRange`: deletes all entries of the range at one revision; more than 10,000 delete nothing.
 * - `Txn`: several puts at one revision, no key twice; the encoding has room for guards and an else branch.
 * - `CutHistory`: drops the events of all revisions up to and including `revision`.
 * - `Configure`: a config entry (thesis §4.1).
 * - `OpenSession`: opens a session (thesis §6.3): a client's (`owner` null), or the one session of a member, which ends
 *   the one it had, unless that is of the same run (drawn by each start of its process) and thus the one asked for.
 * - `Seal`: names a session and a sequence in its record, and fixes what became of that sequence: the result it has, or
 *   that it is never executed.
 */
export const Command = Schema.TaggedUnion({
  NoOp: {},
  Put: {
    key: Key,
    value: Schema.Uint8Array,
    ifRevision: Schema.NullOr(Revision),
    previous: Schema.Boolean,
    leaseId: Schema.NullOr(Revision)
  },
  Delete: { key: Key, ifRevision: Schema.NullOr(Revision.check(Schema.isGreaterThan(0))) },
  DeleteRange: { range: KeyRange },
  Txn: {
    puts: Schema.Array(TxnPut).check(
      Schema.isMaxLength(maxTxnOperations),
      Schema.makeFilter((puts: ReadonlyArray<typeof TxnPut.Type>) =>
        new Set(puts.map((put) => put.key)).size === puts.length || "a key may be written once only"
      )
    )
  },
  CutHistory: { revision: Revision },
  Configure: { membership: Membership },
  OpenSession: { owner: Schema.NullOr(SessionOwner) },
  Seal: {}
})
export type Command = typeof Command.Type
export type CommandOf<Tag extends Command["_tag"]> = Extract<Command, { readonly _tag: Tag }>
