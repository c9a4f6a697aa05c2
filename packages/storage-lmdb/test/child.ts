/** Programs of their own, for what would take the test's process with it. */
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const start = (script: string, args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [fileURLToPath(new URL(`children/${script}`, import.meta.url)), ...args], {
    stdio: ["ignore", "pipe", "pipe"]
  })

/** A running child, killed with the scope if it still runs then. */
const child = (script: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => start(script, args)),
    (running) => Effect.sync(() => running.kill("SIGKILL"))
  )

const textOf = async (stream: NodeJS.ReadableStream | null): Promise<string> => {
  let text = ""
  if (stream !== null) { for await (const part of stream) text += String(part) }
  return text
}

/** How a child ended, and what it said. */
export interface Ending {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

export const runChild = (script: string, args: ReadonlyArray<string>): Effect.Effect<Ending> =>
  Effect.scoped(
    Effect.flatMap(child(script, args), (running) =>
      Effect.promise(async () => {
        const closed = once(running, "close")
        const [stdout, stderr] = await Promise.all([textOf(running.stdout), textOf(running.stderr)])
        await closed
        return { code: running.exitCode, signal: running.signalCode, stdout, stderr }
      }))
  )

/** Runs a child until `enough` of its lines have been read, kills it, and gives all lines that it got out. */
export const runUntil = (
  script: string,
  args: ReadonlyArray<string>,
  enough: (lines: ReadonlyArray<string>) => boolean
) =>
  Effect.scoped(
    Effect.flatMap(child(script, args), (running) =>
      Effect.promise(async () => {
        const lines: Array<string> = []
        const errors = textOf(running.stderr)
        const closed = once(running, "close")
        for await (const line of createInterface({ input: running.stdout! })) {
          lines.push(line)
          if (enough(lines)) running.kill("SIGKILL")
        }
        await closed
        if (running.signalCode !== "SIGKILL") throw new Error(`the child ended by itself: ${await errors}`)
        return lines
      }))
  )

/** A process that has the directory open until the effect that this gives is run, which kills it. */
export const holdOpen = Effect.fnUntraced(function*(directory: string) {
  const running = yield* child("hold.ts", [directory])
  yield* Effect.promise(async () => {
    await Promise.race([
      once(running.stdout!, "data"),
      once(running, "close").then(async () => {
        throw new Error(`the child did not open the directory: ${await textOf(running.stderr)}`)
      })
    ])
  })
  return Effect.promise(async () => {
    const closed = once(running, "close")
    running.kill("SIGKILL")
    await closed
  })
})
