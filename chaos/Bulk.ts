/** Whether a node has the values that a run filled the store with. */
import type { ChaosNode } from "./Cluster.ts"
import { bulkKey, bulkValue } from "./fill.ts"
import { Violation } from "./Waiting.ts"

/** Values that are read back in full. */
const samples = 64

/**
 * That the node has what was written while it was away: all keys, and some of the values in full. Tells the revisions
 * that were used for it too.
 */
export const checkBulk = async (node: ChaosNode, keys: number, bytes: number) => {
  const page = async (query: string) => {
    const { body, status } = await node.ask("GET", `/v1/kv?consistency=stale&${query}`)
    if (status !== 200) throw new Violation(`the filled keys cannot be listed: ${status} ${body}`)
    return JSON.parse(body) as {
      more: boolean
      entries: ReadonlyArray<{ key: string; value: string; version: number }>
    }
  }
  const problems: Array<string> = []
  let count = 0
  let revisions = 0
  for (let after = "", more = true; more;) {
    const found = await page(`prefix=bulk/&keysOnly=true&limit=10000&after=${encodeURIComponent(after)}`)
    count += found.entries.length
    for (const { version } of found.entries) revisions += version
    after = found.entries.at(-1)?.key ?? ""
    more = found.more
  }
  if (count !== keys) problems.push(`${node.id} has ${count} of ${keys} keys`)
  const looked = Math.min(samples, keys)
  for (let sample = 0; sample < looked; sample++) {
    const n = Math.floor(sample * keys / looked)
    const { entries: [entry] } = await page(`prefix=${encodeURIComponent(bulkKey(n))}&limit=1`)
    if (entry === undefined || !Buffer.from(entry.value, "base64").equals(bulkValue(n, bytes))) {
      problems.push(`${node.id} has another value for ${bulkKey(n)}`)
    }
  }
  return { problems, revisions }
}
