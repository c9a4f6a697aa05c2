/** What a node says of itself once its listeners are up, for programs that start it. */
import type { Status } from "@distkv/core"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { type CommandFailed, failed } from "./ExitStatus.ts"

export interface Ready {
  readonly raft: string
  readonly http: string
  readonly nodeId: string
  readonly pid: number
}

/** Where this process's node is reached. `http` is its URL. */
export const readyOf = (status: Status, http: string): Ready => ({
  raft: status.address,
  http,
  nodeId: status.nodeId,
  pid: process.pid
})

/** Writes the file in one step, so that whoever waits for it never reads half of it. */
export const writeReadyFile = (file: string, ready: Ready): Effect.Effect<void, CommandFailed> =>
  Effect.try({
    try: () => {
      const temporary = `${file}.${randomBytes(4).toString("hex")}.tmp`
      fs.writeFileSync(temporary, `${JSON.stringify(ready)}\n`)
      fs.renameSync(temporary, file)
    },
    catch: (cause) => failed(`cannot write ${file}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
