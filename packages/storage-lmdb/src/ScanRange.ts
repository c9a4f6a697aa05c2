/** The bounds of a scan as LMDB takes them: bytes, and for a scan backwards the other way round. */
import type { Scan } from "@distkv/core"
import { maxKeyBytes } from "@distkv/core"
import type { RangeOptions } from "lmdb"

/** The key order in bytes, where `start` is included and `end` is not; null is open. */
interface Interval {
  readonly start: Buffer | null
  readonly end: Buffer | null
}

/** One byte more than any key has decides the order as well as the whole bound would, and is a length LMDB takes. */
const boundBytes = maxKeyBytes + 1

/** The first of all keys. Left out, LMDB would take it too, but as excluded. */
const firstKey = Buffer.of(0)

const bound = (text: string): Buffer => Buffer.from(text).subarray(0, boundBytes)

/** The options of `getRange`, or null where no key can be in the range. */
export const rangeOfScan = (scan: Scan): RangeOptions | null => {
  const interval = intervalOf(scan)
  if (interval === null) return null
  const { end, start } = interval
  if (!scan.reverse) return { ...(start === null ? {} : { start }), ...(end === null ? {} : { end }) }
  return {
    reverse: true,
    // Backwards LMDB includes the upper bound and excludes the lower one: the opposite of what is asked for.
    ...(end === null ? {} : { start: end, exclusiveStart: true }),
    end: start ?? firstKey,
    inclusiveEnd: true
  }
}

const intervalOf = ({ from, prefix, to }: Scan): Interval | null => {
  let start = from === null || from === "" ? null : bound(from)
  let end = to === null ? null : bound(to)
  if (prefix !== null && prefix !== "") {
    const low = Buffer.from(prefix)
    if (low.length > maxKeyBytes) return null
    const high = afterPrefix(low)
    if (start === null || low.compare(start) > 0) start = low
    if (end === null || high.compare(end) < 0) end = high
  }
  if (end !== null && (end.length === 0 || (start !== null && start.compare(end) >= 0))) return null
  return { start, end }
}

/** The first bytes after all that begin with `prefix`. UTF-8 has no byte 0xff, so the last one can be raised. */
const afterPrefix = (prefix: Buffer): Buffer => {
  const next = Buffer.from(prefix)
  const last = next.length - 1
  next[last] = next[last]! + 1
  return next
}
