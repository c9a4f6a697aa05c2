/** Finding free ports of this machine. */
import { Effect } from "effect"
import { randomInt } from "node:crypto"
import * as net from "node:net"
import type { Listen } from "./ServerConfig.ts"

/**
 * Ports are drawn from below those that systems give to outgoing connections (32768 and up on Linux, 49152 and up
 * elsewhere), so that between drawing and listening nobody takes one by chance.
 */
const drawFrom = 20_000
const drawBelow = 32_768
const draws = 200

/** Whether this process could listen there now. */
export const isFree = ({ host, port }: Listen): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = net.createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.succeed(true))))
  })

/** `count` different free ports; undefined where they cannot be found, as on a host that is not this machine. */
export const drawPorts = Effect.fnUntraced(function*(
  host: string,
  count: number
): Effect.fn.Return<ReadonlyArray<number> | undefined> {
  const found = new Set<number>()
  for (let draw = 0; draw < draws && found.size < count; draw++) {
    const port = randomInt(drawFrom, drawBelow)
    if (yield* isFree({ host, port })) found.add(port)
  }
  return found.size === count ? Array.from(found) : undefined
})

/** `count` ports from `first` on where all of them are free, else drawn ones. */
export const choosePorts = Effect.fnUntraced(function*(
  first: Listen,
  count: number
): Effect.fn.Return<ReadonlyArray<number> | undefined> {
  const wanted = Array.from({ length: count }, (_, i) => first.port + i)
  const free = yield* Effect.forEach(wanted, (port) => isFree({ host: first.host, port }))
  return free.every((is) => is) ? wanted : yield* drawPorts(first.host, count)
})
