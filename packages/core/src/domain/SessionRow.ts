/**
 * A row in which the state store and snapshots keep a part of a session. Its first 16 bytes, session and block
 * big-endian, are its key, so that the order of the bytes is that of the sessions; the rest belongs to
 * `rules/SessionRows.ts`.
 */
import { allocate, copyOf, putU32 } from "./Bytes.ts"
import type { SessionId } from "./Position.ts"

/** Bytes of a row by which it is found and ordered. */
export const sessionKeyBytes = 16

/** A row to be written, or (bytes null) to be removed. Block 0 is the session's head. */
export interface SessionRow {
  readonly session: SessionId
  readonly block: number
  readonly bytes: Uint8Array | null
}

/** The first bytes of a row. */
export const sessionKey = (session: SessionId, block: number): Uint8Array => {
  const key = allocate(sessionKeyBytes)
  putSessionKey(key, session, block)
  return key
}

export const putSessionKey = (bytes: Uint8Array, session: SessionId, block: number): number => {
  putBigEndian(bytes, 0, session)
  putBigEndian(bytes, 8, block)
  return sessionKeyBytes
}

const putBigEndian = (bytes: Uint8Array, at: number, value: number): void => {
  putU32(bytes, at, swapped(Math.floor(value / 2 ** 32)))
  putU32(bytes, at + 4, swapped(value % 2 ** 32))
}

/** A 32-bit number with its bytes in the other order. */
export const swapped = (value: number): number =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0

/** The rows in memory, in the order of their bytes. */
export class SessionRowMap {
  private readonly rows = new Map<string, Uint8Array>()

  /** Begins with these whole rows, kept as copies. */
  constructor(rows: Iterable<Uint8Array> = []) {
    for (const row of rows) this.rows.set(textOf(row.subarray(0, sessionKeyBytes)), copyOf(row, 0, row.length))
  }

  /** Rows are kept as copies. */
  change(rows: ReadonlyArray<SessionRow>): void {
    for (const { block, bytes, session } of rows) {
      const key = textOf(sessionKey(session, block))
      if (bytes === null) this.rows.delete(key)
      else this.rows.set(key, copyOf(bytes, 0, bytes.length))
    }
  }

  all(): ReadonlyArray<Uint8Array> {
    return [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes)
  }
}

/** A character for each byte, so that the order of the texts is that of the bytes. */
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes)
