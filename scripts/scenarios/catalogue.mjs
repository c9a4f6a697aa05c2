// The catalogue of scenarios, as it is read from catalogue.txt.
import { readFileSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title
 * @property {boolean} isGrave A system in use has lost data, split, or hung for ever on it.
 * @property {string | null} absence Why nothing plays it.
 * @property {string | null} gap What of it is not played.
 *
 * @typedef {{ title: string, scenarios: Array<Scenario> }} Chapter
 */

/** @returns {ReadonlyArray<Chapter>} */
export const readCatalogue = () => {
  const text = readFileSync(join(import.meta.dirname, "catalogue.txt"), "utf8")
  /** @type {Array<Chapter>} */
  const chapters = []
  for (const line of text.split("\n")) {
    const chapter = chapters.at(-1)
    const [, id, grave, title] = /^([A-Z]+\d+)(!?) (.*)$/.exec(line) ?? []
    if (line.startsWith("## ")) chapters.push({ title: line.slice(3), scenarios: [] })
    else if (id !== undefined && title !== undefined && chapter !== undefined) {
      chapter.scenarios.push({ id, title, isGrave: grave === "!", absence: null, gap: null })
    } else if (/^[=~] /.test(line)) {
      const last = chapter?.scenarios.at(-1)
      if (last !== undefined) last[line.startsWith("=") ? "absence" : "gap"] = line.slice(2)
    }
  }
  return chapters
}
