/** A bare `node:http` server under `wrk`: the limit of what an HTTP interface on this platform can do. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import type { Cluster, Contender } from "../Contender.ts"
import { wrk } from "../load/Wrk.ts"
import { end, pidOf, startProgram } from "./Processes.ts"

export interface BareHttp extends Cluster {
  readonly address: () => string
}

export const bareHttp = (): BareHttp => {
  let child: ChildProcess | undefined
  let port = 0
  return {
    name: "node:http",
    address: () => `127.0.0.1:${port}`,
    start: async () => {
      child = startProgram(new URL("bare-http.ts", import.meta.url), [])
      const [told]: Array<unknown> = await once(child, "message")
      port = Number(told)
    },
    ready: () => Promise.resolve(),
    fill: () => Promise.resolve(),
    processes: () => child === undefined ? [] : [{ name: "server", pid: pidOf(child) }],
    stop: async () => {
      if (child !== undefined) await end(child)
    }
  }
}

export const bareHttpOf = (server: BareHttp): Contender => ({
  name: "node:http",
  describe: "a server of node:http that answers from memory, under wrk",
  clusters: [server],
  load: (level, ms) => wrk([server.address()], "distkv", level, ms)
})
