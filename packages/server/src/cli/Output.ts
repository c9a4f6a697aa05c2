/** What the program prints. Results go to standard output, everything about them to standard error. */
import { Effect } from "effect"
import { styleText } from "node:util"

type Style = Parameters<typeof styleText>[0]

/** Colours `text` where standard output is a terminal that wants colours. */
export const styled = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout })

const write = (stream: NodeJS.WriteStream, chunk: string | Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    // A reader that went away (`distkv list | head`) is no failure of ours: the stream's own handler ends the program.
    stream.write(chunk, () => resume(Effect.void))
  })

/** Prints bytes as they are. */
export const writeBytes = (bytes: Uint8Array): Effect.Effect<void> => write(process.stdout, bytes)

/** Prints a line of a result. */
export const printLine = (line: string): Effect.Effect<void> => write(process.stdout, `${line}\n`)

/** Prints a line about the result, for people only. */
export const noteLine = (line: string): Effect.Effect<void> => write(process.stderr, `${line}\n`)

/** Prints a value as one line of JSON. */
export const printJson = (value: unknown): Effect.Effect<void> => printLine(JSON.stringify(value))

/** Control characters, the two line separators of Unicode, and the backslash that begins an escape. */
const movesTheCursor = /[\p{Cc}\u2028\u2029\\]/gu

/** Text in which nothing can move the cursor or break the line: control characters are escaped as in JSON. */
export const inertText = (text: string): string =>
  text.replaceAll(movesTheCursor, (character) => {
    const plain = JSON.stringify(character).slice(1, -1)
    return plain === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : plain
  })

/** Lays rows out in columns that are as wide as their widest cell; the first row is the heading. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows.reduce<ReadonlyArray<number>>(
    (seen, row) => row.map((cell, column) => Math.max(seen[column] ?? 0, cell.length)),
    []
  )
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
}
