/** Where a node keeps its data, and how careful it is with the disk. */
import { InvalidRequest } from "@distkv/core"
import type { Duration } from "effect"
import { Duration as Durations, Effect, Option } from "effect"
import { join, resolve } from "node:path"
import { defaultSegmentBytes } from "./segments/SegmentLog.ts"

export interface LmdbSettings {
  /** The data directory; made with its parents where absent, readable by its owner only. */
  readonly directory: string
  /** The directory must be there already; default false. */
  readonly existing?: boolean | undefined
  /** The file of the mark; default `mark` in the directory. On another volume it also notices a restored directory. */
  readonly markFile?: string | undefined
  /** Bytes of the volume that are left free, by default 256 MiB: compaction itself needs space. */
  readonly reserveBytes?: number | undefined
  /**
   * Where the log of a new directory is kept: in append files of its own (the default), or in LMDB. A directory keeps
   * what it was begun with.
   */
  readonly log?: "segments" | "lmdb" | undefined
  /** The size of the append files, 64 KiB to 1 GiB, by default 16 MiB. */
  readonly segmentBytes?: number | undefined
  /** A commit that takes longer stops the node; default 10 s. */
  readonly commitTimeout?: Duration.Input | undefined
}

/** The settings with their defaults, in the units in which they are used. */
export interface Resolved {
  /** Absolute. */
  readonly directory: string
  readonly existing: boolean
  /** Absolute. */
  readonly markFile: string
  readonly reserveBytes: number
  readonly log: "segments" | "lmdb" | undefined
  readonly segmentBytes: number
  readonly commitTimeoutMs: number
}

const defaultReserveBytes = 256 * 1024 * 1024
const defaultCommitTimeoutMs = 10_000
/** The longest time that a timer of the platform can wait, in milliseconds. */
const maxTimerMs = 2 ** 31 - 1

export const resolveSettings = Effect.fnUntraced(
  function*(settings: LmdbSettings): Effect.fn.Return<Resolved, InvalidRequest> {
    const { directory, markFile, reserveBytes = defaultReserveBytes } = settings
    if (directory === "") return yield* new InvalidRequest({ message: "the data directory has no name" })
    if (!Number.isSafeInteger(reserveBytes) || reserveBytes < 0) {
      return yield* new InvalidRequest({ message: `reserveBytes must be a number of bytes, not ${reserveBytes}` })
    }
    const { log, segmentBytes = defaultSegmentBytes } = settings
    if (log !== undefined && log !== "segments" && log !== "lmdb") {
      return yield* new InvalidRequest({ message: "log is segments or lmdb" })
    }
    if (!Number.isInteger(segmentBytes) || segmentBytes < 2 ** 16 || segmentBytes > 2 ** 30) {
      return yield* new InvalidRequest({ message: `segmentBytes must be from 65536 to 2^30, not ${segmentBytes}` })
    }
    const commitTimeoutMs = settings.commitTimeout === undefined
      ? defaultCommitTimeoutMs
      : Option.match(Durations.fromInput(settings.commitTimeout), {
        onNone: () => Number.NaN,
        onSome: Durations.toMillis
      })
    if (!(commitTimeoutMs >= 1 && commitTimeoutMs <= maxTimerMs)) {
      return yield* new InvalidRequest({ message: `commitTimeout must be between 1 ms and ${maxTimerMs} ms` })
    }
    const home = resolve(directory)
    return {
      directory: home,
      existing: settings.existing ?? false,
      markFile: markFile === undefined ? join(home, "mark") : resolve(markFile),
      reserveBytes,
      log,
      segmentBytes,
      commitTimeoutMs
    }
  }
)
