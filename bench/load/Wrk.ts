/** Load over HTTP by `wrk`, which costs the machine less for each request than anything written in JavaScript. */
import { fileURLToPath } from "node:url"
import { output } from "../clusters/Processes.ts"
import { evenly, type Level, type LoadResult } from "../Contender.ts"

/** The Debian package. */
export const packages = ["wrk"]

const script = fileURLToPath(new URL("wrk.lua", import.meta.url))

const queryOf = (speaks: "distkv" | "gateway", consistency: Level["consistency"]): string => {
  if (consistency === "linearizable") return ""
  return speaks === "gateway" ? `,"serializable":true` : `?consistency=${consistency}`
}

/** Loads these addresses (`host:port`), a thread for each of them; a single client talks to the first only. */
export const wrk = async (
  addresses: ReadonlyArray<string>,
  speaks: "distkv" | "gateway",
  level: Level,
  ms: number
): Promise<LoadResult> => {
  const at = level.clients >= addresses.length ? addresses : addresses.slice(0, 1)
  const connections = String(evenly(level.clients, at.length))
  const env = {
    ...process.env,
    BENCH_ADDRESSES: at.join(","),
    BENCH_CONNECTIONS: connections,
    BENCH_KEYS: String(level.keys),
    BENCH_PREFIX: level.prefix,
    BENCH_VALUE_BYTES: String(level.valueBytes),
    BENCH_READS: String(level.reads),
    BENCH_QUERY: queryOf(speaks, level.consistency),
    BENCH_SPEAKS: speaks
  }
  const size = [`-t${at.length}`, `-c${connections}`, `-d${Math.ceil(ms / 1000)}s`]
  const printed = await output("wrk", [...size, "--timeout", "10s", "-s", script, `http://${at[0] ?? ""}`], { env })
  const line = printed.split("\n").find((text) => text.startsWith("RESULT "))
  if (line === undefined) throw new Error(`wrk printed no result:\n${printed}`)
  return JSON.parse(line.slice("RESULT ".length)) as LoadResult
}
