// Bugs that were found in other systems, as they are read from bugs.txt, and what plays each here.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { mutants } from "../mutants/index.mjs"

/** @import { Play } from "./tests.mjs" */

/**
 * @typedef {object} Bug
 * @property {string} id
 * @property {string} what
 * @property {string | null} absence Why it cannot happen here.
 * @property {string | null} besides Which tests play it besides scripts and mutants.
 */

/** @returns {ReadonlyArray<Bug>} */
const readBugs = () => {
  /** @type {Array<Bug>} */
  const bugs = []
  for (const line of readFileSync(join(import.meta.dirname, "bugs.txt"), "utf8").split("\n")) {
    const [, id, what] = /^(B\d\d) (.*)$/.exec(line) ?? []
    if (id !== undefined && what !== undefined) bugs.push({ id, what, absence: null, besides: null })
    const last = bugs.at(-1)
    if (last === undefined || !/^[=~] /.test(line)) continue
    last[line.startsWith("=") ? "absence" : "besides"] = line.slice(2)
  }
  return bugs
}

/** The lines of the table. @param {ReadonlyArray<Play>} plays */
export const bugLines = (plays) => {
  const lines = [
    "## Bugs of other systems",
    "",
    "What was found in systems in use, and what would find it here: scripts, most of them named after their bug, and mutants",
    "([MUTANTS.md](MUTANTS.md)), which put it back into the program.",
    "",
    "| id | bug | scripts | mutants |",
    "|---|---|---|---|"
  ]
  for (const { absence, besides, id, what } of readBugs()) {
    const scripts = plays.filter(({ bugs }) => bugs.includes(id))
      .map(({ path }) => `\`${path.replace(/^.*\//, "").replace(/\.script$/, "")}\``)
    const named = mutants.filter(({ bug }) => bug.split(", ").includes(id)).map((one) => `\`${one.id}\``)
    const where = [...scripts, ...(besides === null ? [] : [besides])].join("<br>")
    lines.push(`| ${id} | ${what} | ${absence === null ? where : `– ${absence}`} | ${named.join("<br>")} |`)
  }
  return lines
}
