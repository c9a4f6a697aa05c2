/** Reading a value from standard input. */
import { Effect } from "effect"
import { type CommandFailed, failed, misused } from "./ExitStatus.ts"

/** Longer input is no value anyway; it is refused before memory is filled with it. */
const maxInputBytes = 64 * 1024 * 1024

/** Everything there is on standard input. */
export const readStandardInput: Effect.Effect<Uint8Array, CommandFailed> = Effect.callback((resume) => {
  const chunks: Array<Buffer> = []
  let length = 0
  process.stdin.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length > maxInputBytes) resume(Effect.fail(misused("the value on standard input is too large")))
  })
  process.stdin.once("end", () => resume(Effect.succeed(Buffer.concat(chunks, length))))
  process.stdin.once("error", (error) => resume(Effect.fail(failed(`cannot read standard input: ${error.message}`))))
})
