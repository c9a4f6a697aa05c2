/** What the two suites of store laws share: what a law is, and how it says that it is broken. */
import type { Scope } from "effect"
import { Effect, Schema } from "effect"
import { crc32 } from "node:zlib"
import type { StartError } from "../../DistKvError.ts"
import { StorageFailed } from "../../DistKvError.ts"
import type { LogId } from "../../domain/Position.ts"

/**
 * How the laws get at an implementation. `open` opens the store with everything that it held when it was last closed;
 * it is closed with the scope, and never open twice.
 */
export interface StoreHarness<Store, Place> {
  readonly open: Effect.Effect<Store, StartError, Scope.Scope>
  /** Flips bits of what is stored at `place`, while the store is closed; null where that cannot be done. */
  readonly damage: ((place: Place) => Effect.Effect<void, unknown>) | null
  /**
   * Of a log that lies beside a state: makes the state stand at this entry, while the log is open. Only what the state
   * holds is ever dropped from a log.
   */
  readonly cover?: (last: LogId) => Effect.Effect<void, unknown>
}

/** One law. `check` wants a store that was never used, and fails when the law does not hold. */
export interface StoreLaw<Store, Place> {
  readonly name: string
  readonly check: (harness: StoreHarness<Store, Place>) => Effect.Effect<void, unknown>
}

/** A law did not hold. */
export class LawBroken extends Schema.TaggedError<LawBroken>()("LawBroken", { message: Schema.String }) {}

/** Bytes as hexadecimal digits, whatever class holds them; long ones by their beginning and checksum. */
const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Uint8Array) return hex(part)
    // A Buffer turns itself into this before a replacer sees it.
    if (isBufferJson(part)) return hex(Uint8Array.from(part.data))
    return part instanceof Map ? [...part] : part
  }) ?? "undefined"

const hex = (bytes: Uint8Array): string => {
  const digits = Array.from(bytes.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join("")
  return `${bytes.length} bytes ${digits}${bytes.length > 64 ? `… checksum ${crc32(bytes)}` : ""}`
}

const isBufferJson = (part: unknown): part is { readonly data: ReadonlyArray<number> } =>
  typeof part === "object" && part !== null && "type" in part && part.type === "Buffer" && "data" in part &&
  Array.isArray(part.data)

const shorten = (text: string): string =>
  text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text

/** Fails unless the two mean the same, byte for byte. */
export const expectEqual = Effect.fnUntraced(
  function*(what: string, actual: unknown, expected: unknown): Effect.fn.Return<void, LawBroken> {
    const [found, wanted] = [show(actual), show(expected)]
    if (found !== wanted) {
      return yield* new LawBroken({ message: `${what}: expected ${shorten(wanted)}, found ${shorten(found)}` })
    }
  }
)

/** Fails unless `effect` fails with `StorageFailed`. */
export const expectStorageFailed = Effect.fnUntraced(
  function*<A, E>(what: string, effect: Effect.Effect<A, E>): Effect.fn.Return<void, LawBroken | E> {
    const outcome = yield* effect.pipe(
      Effect.map((value) => `succeeded with ${shorten(show(value))}`),
      Effect.catch((error) => error instanceof StorageFailed ? Effect.succeed(null) : Effect.fail(error))
    )
    if (outcome !== null) return yield* new LawBroken({ message: `${what}: expected StorageFailed, but it ${outcome}` })
  }
)

/** A synchronous read as an effect: what it throws is its error. */
export const reading = <A>(read: () => A): Effect.Effect<A, unknown> => Effect.try({ try: read, catch: (e) => e })

/** Numbers from 0 to `below` - 1 that look random and are the same in every run. */
export const draws = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
