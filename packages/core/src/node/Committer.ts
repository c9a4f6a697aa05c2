/**
 * The only writer of the log store: whatever waits becomes one durable write (group commit).
 *
 * Writes are numbered in the order in which they were submitted, and become durable in that order; `Persisted` names
 * the last one of a commit. The first commit that fails or gets stuck ends the node: what is on disk is unknown from
 * then on.
 */
import { Clock, Duration, Effect, Queue } from "effect"
import { StorageFailed } from "../DistKvError.ts"
import type { LogWrite } from "../LogStore.ts"
import { LogStore } from "../LogStore.ts"
import type { Persisted } from "../state/NodeMessage.ts"
import { WriteBuffer } from "../state/WriteBuffer.ts"

interface Submission {
  readonly number: number
  readonly write: LogWrite
}

export interface Committer {
  /** Queues a write; `Persisted` with this number or a higher one tells that it is durable. */
  readonly submit: (number: number, write: LogWrite) => void
  /** Milliseconds (monotonic) since when the oldest commit is under way; null when none is. */
  readonly busySince: () => number | null
  readonly counters: { commits: number; seconds: number; bytes: number }
  /** Runs for ever, in the node's scope; fails with the first failed commit. */
  readonly run: Effect.Effect<never, StorageFailed>
  /** Runs for ever beside it; fails when a commit is stuck. */
  readonly watch: Effect.Effect<never, StorageFailed>
}

/** A commit that was found under way so many times in a row, each a part of the limit apart, is stuck. */
const looks = 10

/** `persisted` is told of each durable step and its size, synchronously. */
export const make = Effect.fnUntraced(function*(
  commitTimeout: Duration.Duration,
  persisted: (message: Persisted, bytes: number) => void
): Effect.fn.Return<Committer, never, LogStore> {
  const store = yield* LogStore
  const clock = yield* Clock.Clock
  const queue = yield* Queue.unbounded<Submission>()
  const counters = { commits: 0, seconds: 0, bytes: 0 }
  let busySince: number | null = null
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const limitMs = Duration.toMillis(commitTimeout)

  // A watch beside the commits instead of a time-out around each: it costs nothing per commit, and sees one that
  // cannot be interrupted. It counts how often it has looked and found the same commit: when the whole process was
  // stopped for a minute, a clock would say that the disk was stuck for a minute, and nobody has looked.
  const watch = Effect.gen(function*() {
    let seen = 0
    let last = counters.commits
    while (seen <= looks) {
      yield* Effect.sleep(Duration.millis(limitMs / looks))
      seen = busySince === null || counters.commits !== last ? 0 : seen + 1
      last = counters.commits
    }
    return yield* new StorageFailed({
      message: `a log commit has taken more than ${limitMs} ms: the disk is stuck. This node stops; ` +
        "check the disk, then start it again"
    })
  })

  const run = Effect.gen(function*() {
    while (true) {
      const batch = yield* Queue.takeAll(queue)
      const write = merged(batch)
      const bytes = bytesOf(write)
      const began = now()
      busySince = began
      yield* Effect.uninterruptible(store.write(write))
      busySince = null
      counters.commits++
      counters.seconds += (now() - began) / 1000
      counters.bytes += bytes
      persisted(completion(batch.at(-1)!.number, write), bytes)
    }
  })

  return {
    submit: (number, write) => {
      busySince ??= now()
      Queue.offerUnsafe(queue, { number, write })
    },
    busySince: () => busySince,
    counters,
    run,
    watch
  }
})

const merged = (batch: ReadonlyArray<Submission>): LogWrite => {
  if (batch.length === 1) return batch[0]!.write
  const buffer = new WriteBuffer()
  for (const { write } of batch) buffer.add(write)
  return buffer.take()
}

const bytesOf = ({ entries }: LogWrite): number => {
  let bytes = 0
  for (const { record } of entries) bytes += record.length
  return bytes
}

const completion = (number: number, write: LogWrite): Persisted => {
  const last = write.entries.at(-1)
  return {
    _tag: "Persisted",
    number,
    hardState: write.hardState,
    last: last === undefined ? write.reset ?? null : { term: last.term, index: last.index }
  }
}
