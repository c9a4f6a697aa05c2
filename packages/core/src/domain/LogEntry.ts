/**
 * An entry of the replicated log, held as the bytes that go to the log and to every peer.
 *
 * A command is encoded once, where it is proposed; the leader stamps term, index and checksum into the same bytes.
 *
 * Layout of a record, integers little-endian (u64 checked to be at most 2^53 - 1):
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4 | CRC-32 of bytes 4 to the end |
 * | 4 | 1 | format version, 1 |
 * | 5 | 1 | kind of command |
 * | 6 | 2 | zero |
 * | 8 | 8 | term |
 * | 16 | 8 | index |
 * | 24 | 8 | session, 0 for none |
 * | 32 | 8 | sequence within the session |
 * | 40 | 8 | lowest sequence of the session that is not yet acknowledged |
 * | 48 | … | payload: the command's fields |
 */
import { Schema } from "effect"
import { Command } from "./Command.ts"
import { LogIndex, Term } from "./Position.ts"

/** The kind byte of each command. Numbers are never used again for anything else. */
export const commandKind: Readonly<Record<Command["_tag"], number>> = {
  NoOp: 0,
  Put: 1,
  Delete: 2,
  DeleteRange: 3,
  Txn: 4,
  CutHistory: 5,
  Configure: 6,
  OpenSession: 7,
  Seal: 8
}

export const recordVersion = 1
export const recordHeaderBytes = 48

/** Where in a record its session, sequence and lowest unacknowledged sequence stand. */
export const sessionAt = 24
export const sequenceAt = 32
export const unacknowledgedAt = 40

/** The largest encoded command, in bytes. */
export const maxCommandBytes = 2 * 1024 * 1024

/** What a record says, field by field; the hand-written codec is tested against this Schema. */
export const LogEntryFields = Schema.Struct({
  term: Term,
  index: LogIndex,
  session: LogIndex,
  sequence: LogIndex,
  unacknowledged: LogIndex,
  command: Command
})
export type LogEntryFields = typeof LogEntryFields.Type

/** An entry at its place. `record` is immutable from here on: storage and peers hold on to it. */
export interface LogEntry {
  readonly term: Term
  readonly index: LogIndex
  readonly kind: number
  readonly record: Uint8Array
}
