/** Takes the payload of a log record apart; the layout is described in `CommandCodec.ts`. */
import { Schema } from "effect"
import { ByteReader } from "./ByteReader.ts"
import type { Command, KeyRange, SessionOwner } from "./Command.ts"
import { maxTxnOperations } from "./Command.ts"
import type { Key } from "./Entry.ts"
import { maxBoundBytes, maxKeyBytes } from "./Entry.ts"
import { NodeId } from "./Identity.ts"
import { jsonText } from "./JsonText.ts"
import { commandKind, recordHeaderBytes, recordVersion } from "./LogEntry.ts"
import { Membership } from "./Membership.ts"
import type { Revision } from "./Position.ts"

/** Flags of a put and of a delete. */
export const guarded = 1
export const wantsPrevious = 2
export const leased = 4

/** Forms and flags of a range. */
export const prefixForm = 0
export const betweenForm = 1
export const allForm = 2
export const hasFrom = 1
export const hasTo = 2

/** Forms of a session. */
export const clientForm = 0
export const memberForm = 1

export const membershipText = jsonText(Membership)

/** The command of a record, or the flaw because of which it holds none. */
export const readCommand = (record: Uint8Array): Command | { readonly _tag: "Flawed"; readonly flaw: string } => {
  const reader = new ByteReader(record, recordHeaderBytes)
  if (record.length < recordHeaderBytes) reader.reject("shorter than a header")
  else if (record[4] !== recordVersion) reader.reject("another version")
  const command = readPayload(reader, record[5])
  reader.end()
  return reader.flaw === null ? command : { _tag: "Flawed", flaw: reader.flaw }
}

const readPayload = (reader: ByteReader, kind: number | undefined): Command => {
  switch (kind) {
    case commandKind.NoOp:
      return noOp
    case commandKind.Put:
      return readPut(reader)
    case commandKind.Delete:
      return readDelete(reader)
    case commandKind.DeleteRange:
      return { _tag: "DeleteRange", range: readRange(reader) }
    case commandKind.Txn:
      return readTxn(reader)
    case commandKind.CutHistory:
      return { _tag: "CutHistory", revision: reader.u64() as Revision }
    case commandKind.Configure: {
      const membership = membershipText.decode(reader.text(reader.left))
      if (membership !== null) return { _tag: "Configure", membership }
      reader.reject("not a membership")
      return noOp
    }
    case commandKind.OpenSession:
      return { _tag: "OpenSession", owner: readOwner(reader) }
    case commandKind.Seal:
      return seal
    default:
      reader.reject("a kind of command that this version does not know")
      return noOp
  }
}

const noOp: Command = { _tag: "NoOp" }
const seal: Command = { _tag: "Seal" }

const isNodeId = Schema.is(NodeId)

const readOwner = (reader: ByteReader): SessionOwner | null => {
  const form = reader.u8()
  reader.flags(0)
  if (form === clientForm) return null
  if (form !== memberForm) reader.reject("an unknown form of session")
  const length = reader.u16()
  const run = reader.u64()
  const member = reader.text(length)
  if (!isNodeId(member)) reader.reject("not a node id")
  return { member: member as NodeId, run }
}

const readPut = (reader: ByteReader): Command => {
  const flags = reader.flags(guarded | wantsPrevious | leased)
  reader.flags(0)
  const keyLength = reader.u16()
  const valueLength = reader.u32()
  const ifRevision = (flags & guarded) === 0 ? null : reader.u64() as Revision
  const leaseId = (flags & leased) === 0 ? null : reader.u64() as Revision
  const key = readKey(reader, keyLength)
  const value = reader.view(valueLength)
  return { _tag: "Put", key, value, ifRevision, previous: (flags & wantsPrevious) !== 0, leaseId }
}

const readDelete = (reader: ByteReader): Command => {
  const flags = reader.flags(guarded)
  reader.flags(0)
  const keyLength = reader.u16()
  const ifRevision = (flags & guarded) === 0 ? null : reader.u64() as Revision
  if (ifRevision === 0) reader.reject("a delete guarded by revision 0")
  return { _tag: "Delete", key: readKey(reader, keyLength), ifRevision }
}

const readRange = (reader: ByteReader): KeyRange => {
  const form = reader.u8()
  const flags = reader.flags(form === prefixForm ? hasFrom : form === betweenForm ? hasFrom | hasTo : 0)
  switch (form) {
    case prefixForm:
      return { _tag: "Prefix", prefix: readKey(reader, (flags & hasFrom) === 0 ? 0 : reader.u16()) }
    case betweenForm: {
      const fromLength = (flags & hasFrom) === 0 ? null : reader.u16()
      const toLength = (flags & hasTo) === 0 ? null : reader.u16()
      return { _tag: "Between", from: readBound(reader, fromLength), to: readBound(reader, toLength) }
    }
    default:
      if (form !== allForm) reader.reject("an unknown form of range")
      return { _tag: "All" }
  }
}

const readTxn = (reader: ByteReader): Command => {
  if (reader.u16() !== 0) reader.reject("guards are not known to this version")
  const count = reader.u16()
  if (count > maxTxnOperations) reader.reject("too many operations")
  if (reader.u16() !== 0) reader.reject("an else branch is not known to this version")
  const puts: Array<{ readonly key: Key; readonly value: Uint8Array }> = []
  const keys = new Set<Key>()
  for (let i = 0; i < count && reader.flaw === null; i++) {
    const keyLength = reader.u16()
    if (reader.u16() !== 0) reader.reject("an unknown operation")
    const valueLength = reader.u32()
    const key = readKey(reader, keyLength)
    puts.push({ key, value: reader.view(valueLength) })
    keys.add(key)
  }
  if (keys.size !== puts.length) reader.reject("a key twice")
  return { _tag: "Txn", puts }
}

const readKey = (reader: ByteReader, length: number): Key => {
  if (length === 0 || length > maxKeyBytes) reader.reject("not a key")
  return reader.key(length) as Key
}

const readBound = (reader: ByteReader, length: number | null): string | null => {
  if (length === null) return null
  if (length > maxBoundBytes) reader.reject("a bound that is too long")
  return reader.text(length)
}
