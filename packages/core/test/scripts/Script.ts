/**
 * The text of a scenario script: a head that says what it is about, then one command a line. `docs/SCRIPTS.md` is the
 * language's reference.
 *
 * ```text
 * # An entry of an earlier term is not committed by counting its copies.
 * scenario: C01
 * bug: B15
 * fails-with: commits-older-terms
 *
 * cluster 5
 * …
 * ```
 */

/** One command, in words; quotes keep blanks together. */
export interface ScriptLine {
  /** Counted from 1. */
  readonly number: number
  readonly text: string
  readonly words: ReadonlyArray<string>
}

export interface Script {
  /** The file's name without its ending. */
  readonly name: string
  /** The first comment: what must hold, in one sentence. */
  readonly title: string
  /** Scenarios of the catalogue that it plays. */
  readonly scenarios: ReadonlyArray<string>
  /** Bugs of other systems that it would find here. */
  readonly bugs: ReadonlyArray<string>
  /** Broken variants of the program under which it must fail, by name. */
  readonly failsWith: ReadonlyArray<string>
  readonly lines: ReadonlyArray<ScriptLine>
}

/** A script that cannot be read, or whose expectation did not come true. */
export class ScriptFailed extends Error {
  override readonly name = "ScriptFailed"
}

const head = /^(scenario|bug|fails-with):\s*(.*)$/

const wordsOf = (text: string): ReadonlyArray<string> =>
  (text.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1"))

/** Reads a script; throws `ScriptFailed` where it lacks what every script has. */
export const parseScript = (name: string, text: string): Script => {
  const heads: Record<string, Array<string>> = { scenario: [], bug: [], "fails-with": [] }
  const lines: Array<ScriptLine> = []
  let title: string | null = null
  text.split("\n").forEach((raw, i) => {
    const line = raw.trim()
    if (line.startsWith("#")) {
      title ??= line.slice(1).trim()
      return
    }
    const [, key, values] = head.exec(line) ?? []
    if (key !== undefined && lines.length === 0) {
      heads[key]!.push(...values!.split(/[\s,]+/).filter((value) => value !== ""))
      return
    }
    const [command = ""] = line.split(/\s#\s/)
    if (command !== "") lines.push({ number: i + 1, text: command.trim(), words: wordsOf(command) })
  })
  const missing = title === null ? "a title" : heads["fails-with"]!.length === 0 ? "a fails-with" : null
  if (title === null || missing !== null) throw new ScriptFailed(`${name} lacks ${missing}`)
  return { name, title, scenarios: heads["scenario"]!, bugs: heads["bug"]!, failsWith: heads["fails-with"]!, lines }
}
