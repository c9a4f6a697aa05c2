/**
 * Seeded random streams. Each concern forks a stream of its own by name, so that one more draw in one place does not
 * shift what all the others draw.
 */
import type { Random } from "effect"

/** A stream of pseudo-random numbers; the same seed and labels give the same stream on every machine. */
export interface Prng extends Random.Random {
  /** An independent stream, whatever has been drawn from this one. */
  readonly fork: (label: string) => Prng
  /** 32 random bits. */
  readonly bits: () => number
  /** Uniform in [0, 1). */
  readonly next: () => number
  /** True with this probability. */
  readonly chance: (probability: number) => boolean
  /** A uniform integer, both ends included. */
  readonly int: (minimum: number, maximum: number) => number
  /** Uniform in [minimum, maximum). */
  readonly between: (minimum: number, maximum: number) => number
  /** Exponentially distributed with this mean. */
  readonly exponential: (mean: number) => number
  /** One of the choices, which must not be empty. */
  readonly pick: <A>(choices: ReadonlyArray<A>) => A
  /** The same elements in random order. */
  readonly shuffle: <A>(elements: Iterable<A>) => Array<A>
}

/** Mixes a number into a 32-bit hash (the finaliser of MurmurHash3). */
export const mix32 = (hash: number, value: number): number => {
  let h = Math.imul(hash ^ value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** A 32-bit hash of a text. */
export const hashText = (text: string): number => {
  let hash = 0x9747b28c
  for (let i = 0; i < text.length; i++) hash = mix32(hash, text.charCodeAt(i) + i)
  return hash
}

/** Makes the root stream of a seed. The generator is sfc32, warmed up so that close seeds part at once. */
export const makePrng = (seed: number): Prng => {
  let a = mix32(0x9e3779b9, seed >>> 0)
  let b = mix32(a, Math.floor(seed / 0x1_0000_0000) + 1)
  let c = mix32(b, 0x243f6a88)
  let d = 1
  const bits = (): number => {
    const t = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) bits()
  const origin = mix32(mix32(a, b), c)

  const next = (): number => (bits() * 0x20_0000 + (bits() >>> 11)) / 0x20_0000_0000_0000
  const int = (minimum: number, maximum: number): number => minimum + Math.floor(next() * (maximum - minimum + 1))
  return {
    bits,
    next,
    int,
    nextDoubleUnsafe: next,
    nextIntUnsafe: () => bits() * 0x20_0000 + (bits() >>> 11),
    chance: (probability) => probability > 0 && next() < probability,
    between: (minimum, maximum) => minimum + next() * (maximum - minimum),
    exponential: (mean) => -Math.log(1 - next()) * mean,
    pick: (choices) => choices[Math.floor(next() * choices.length)]!,
    shuffle: (elements) => {
      const all = [...elements]
      for (let i = all.length - 1; i > 0; i--) {
        const j = int(0, i)
        const other = all[i]!
        all[i] = all[j]!
        all[j] = other
      }
      return all
    },
    fork: (label) => makePrng(mix32(origin, hashText(label)) + mix32(hashText(label), origin) * 0x10_0000)
  }
}
