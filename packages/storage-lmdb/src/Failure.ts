/** How this package fails: always with `StorageFailed`, and once a commit has failed, for good. */
import { StorageFailed } from "@distkv/core"
import { Effect } from "effect"

/** The words of whatever was thrown. */
export const reasonOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** `StorageFailed` stays what it is; anything else becomes one that says what was being done. */
export const storageFailed = (doing: string, cause: unknown): StorageFailed =>
  cause instanceof StorageFailed ? cause : new StorageFailed({ message: `${doing}: ${reasonOf(cause)}`, cause })

/** Says that a later program wrote what this one found. */
export const newerFormat = (what: string, found: number, known: number): StorageFailed =>
  new StorageFailed({
    message:
      `${what} has format ${found}, and this program knows formats up to ${known}: start the newer program that wrote it`
  })

/** Runs what throws or reads LMDB. Its errors become `StorageFailed`. */
export const reading = <A>(doing: string, read: () => A): A => {
  try {
    return read()
  } catch (cause) {
    throw storageFailed(doing, cause)
  }
}

/**
 * A promise as an effect. An interrupted caller stops waiting, and what was started is finished all the same: a commit
 * that is under way cannot be taken back.
 */
export const started = <A>(doing: string, start: () => Promise<A>): Effect.Effect<A, StorageFailed> =>
  Effect.callback((resume) => {
    start().then(
      (value) => resume(Effect.succeed(value)),
      (cause: unknown) => resume(Effect.fail(storageFailed(doing, cause)))
    )
  })

/**
 * Runs long work that looks at `isOver` between its steps and ends when that is true; an interruption waits for that,
 * so that nothing of the work touches what is given back after it.
 */
export const stoppable = <A, E>(
  run: (isOver: () => boolean) => Promise<A>,
  failure: (cause: unknown) => E
): Effect.Effect<A, E> =>
  Effect.callback<A, E>((resume) => {
    let over = false
    const done = run(() => over).then(
      (value) => resume(Effect.succeed(value)),
      (cause: unknown) => resume(Effect.fail(failure(cause)))
    )
    return Effect.promise(() => {
      over = true
      return done
    })
  })

/**
 * The first failed or stuck commit is the last: what is on disk is unknown until the next start, and a disk that has
 * failed to sync may say yes the next time without having kept anything.
 */
export class FailStop {
  private first: StorageFailed | null = null

  get failure(): StorageFailed | null {
    return this.first
  }

  /** Remembers the failure unless there was one before, and returns the one that counts. */
  fail(message: string, cause?: unknown): StorageFailed {
    this.first ??= new StorageFailed({
      message: `${message}. This node stops; check the disk, then start it again`,
      ...(cause === undefined ? {} : { cause })
    })
    return this.first
  }

  /** Throws the failure if there was one. */
  check(): void {
    if (this.first !== null) throw this.first
  }
}

/** Tasks one after another, in the order in which they were given. */
export class Sequence {
  private tail: Promise<void> = Promise.resolve()

  run<A>(task: () => Promise<A>): Promise<A> {
    const result = this.tail.then(task)
    this.tail = result.then(ignore, ignore)
    return result
  }

  /** Settles once every task given so far has settled; never rejects. */
  idle(): Promise<void> {
    return this.tail
  }
}

const ignore = () => {}
