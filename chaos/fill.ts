/** Fills a store with large values, which differ from each other and can be told by their keys. */
import { createHash } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"

/** Writes that are under way at once. */
const atOnce = 8

/** The key of the n-th value. */
export const bulkKey = (n: number): string => `bulk/${String(n).padStart(8, "0")}`

/** The n-th value: blocks that name it, so that it is neither another one nor a part of another one. */
export const bulkValue = (n: number, bytes: number): Buffer => {
  const block = createHash("sha256").update(`value ${n}`).digest()
  return Buffer.alloc(bytes, block)
}

/** Writes values 0 to `keys - 1`, each until it is taken. Returns how often one had to be written again. */
export const fill = async (
  keys: number,
  bytes: number,
  put: (key: string, value: Buffer) => Promise<boolean>
): Promise<number> => {
  let next = 0
  let again = 0
  const work = async (): Promise<void> => {
    while (next < keys) {
      const n = next++
      const value = bulkValue(n, bytes)
      while (!await put(bulkKey(n), value)) {
        again++
        await sleep(100)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return again
}
