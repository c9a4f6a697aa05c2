// Which test plays which scenario. A test says so in the first words of its name, in brackets at the name's end, or in
// a comment before it; a script, or a program that is no test, in its head:
//
//   // scenario: R09
//   // fails-with: never-resumes
//
// stands before a test.
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Play
 * @property {string} path
 * @property {string} name
 * @property {"script" | "test" | "program"} kind
 * @property {ReadonlyArray<string>} ids Scenarios.
 * @property {ReadonlyArray<string>} failsWith Broken variants that make it fail.
 * @property {ReadonlyArray<string>} bugs Bugs of other systems that it would find, where it says so.
 */

const idPattern = "[A-Z]{1,2}\\d{2}[a-z]?"
const first = new RegExp(`^((?:${idPattern}[,:]? )+)`)
const last = new RegExp(`\\(((?:${idPattern}(?:, )?)+)\\)`)
const list = (/** @type {string} */ text) => text.split(/[\s,:]+/).filter((word) => word !== "")
const tag = /^\s*(?:\/\/|\*|#)?\s*(scenario|fails-with|bug):\s*(.+?)\s*$/
const testBegins = /^\s*(?:it|test)(?:\.\w+)*\(/
const anyString = /(["`])((?:(?!\1).)*)\1/

const filesOf = (/** @type {string} */ root) =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
    .split("\0")

/** @param {string} path @param {ReadonlyArray<string>} lines @returns {ReadonlyArray<Play>} */
const inTests = (path, lines) => {
  /** @type {Array<Play>} */
  const plays = []
  /** @type {Record<string, ReadonlyArray<string>>} */
  let tags = {}
  lines.forEach((line, i) => {
    const [, key, value] = tag.exec(line) ?? []
    if (key !== undefined && value !== undefined) tags = { ...tags, [key]: list(value) }
    if (!testBegins.test(line)) return
    const name = anyString.exec(lines.slice(i, i + 3).join("\n"))?.[2] ?? ""
    const ids = [...(tags["scenario"] ?? []), ...list(first.exec(name)?.[1] ?? ""), ...list(last.exec(name)?.[1] ?? "")]
    if (ids.length > 0) plays.push({ path, name, kind: "test", ids, failsWith: tags["fails-with"] ?? [], bugs: [] })
    tags = {}
  })
  return plays
}

/**
 * @param {string} path
 * @param {ReadonlyArray<string>} lines
 * @param {"script" | "program"} kind
 * @returns {ReadonlyArray<Play>}
 */
const inHead = (path, lines, kind) => {
  const tagged = (/** @type {string} */ key) =>
    lines.flatMap((line) => {
      const [, name, value] = tag.exec(line) ?? []
      return name === key && value !== undefined ? list(value) : []
    })
  const ids = tagged("scenario")
  const title = lines.find((line) => line.startsWith("# "))?.slice(2) ?? ""
  return ids.length === 0 && kind === "program"
    ? []
    : [{ path, name: title, kind, ids, failsWith: tagged("fails-with"), bugs: tagged("bug") }]
}

/** Everything that plays a scenario. @param {string} root @returns {ReadonlyArray<Play>} */
export const findPlays = (root) =>
  filesOf(root).sort().flatMap((path) => {
    const isTest = path.endsWith(".test.ts")
    const isScript = path.endsWith(".script")
    const isProgram = /^chaos\/.*\.(ts|mjs)$/.test(path)
    if (!isTest && !isScript && !isProgram) return []
    const lines = readFileSync(join(root, path), "utf8").split("\n")
    return isTest ? inTests(path, lines) : inHead(path, lines, isScript ? "script" : "program")
  })
