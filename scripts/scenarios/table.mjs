// docs/SCENARIOS.md, made of the catalogue and of what is found in the tests.
import { bugLines } from "./bugs.mjs"

/** @import { Chapter } from "./catalogue.mjs" */
/** @import { Play } from "./tests.mjs" */
/** @import { Variant } from "./variants.mjs" */

const cell = (/** @type {string} */ text) => text.replaceAll("|", "\\|")
const shortPath = (/** @type {string} */ path) => path.replace(/^packages\//, "").replace("/test/", ": ")

/**
 * @param {ReadonlyArray<Chapter>} chapters
 * @param {ReadonlyArray<Play>} plays
 * @param {ReadonlyMap<string, Variant>} variants
 */
export const tableOf = (chapters, plays, variants) => {
  const of = (/** @type {string} */ id) => plays.filter(({ ids }) => ids.includes(id))
  const all = chapters.flatMap(({ scenarios }) => scenarios)
  const played = all.filter(({ id }) => of(id).length > 0)
  const grave = all.filter(({ isGrave }) => isGrave)
  const absent = all.filter(({ absence, id }) => absence !== null && of(id).length === 0)
  const lines = [
    "# Scenarios",
    "",
    "What can go wrong in a replicated store, and which test plays it. Made by `npm run scenarios` of the catalogue",
    "(`scripts/scenarios/catalogue.txt`), the scripts (`packages/core/test/scripts/scenarios`) and the names and comments of",
    "the tests; `npm test` fails when it is stale. **!** marks what has made a system in use lose data, split, or hang for",
    "ever. *Fails with* names broken variants of the program (`scripts/scenarios/variants.txt`) by which the test is shown to",
    "fail: `npm run scenarios -- --prove` tries them all. In brackets: what of a scenario is not played, or played otherwise.",
    "",
    `${played.length} of ${all.length} scenarios are played, ${
      played.filter(({ isGrave }) => isGrave).length
    } of the ` +
    `${grave.length} that are marked; ${absent.length} concern what is not there.`,
    ""
  ]
  for (const { scenarios, title: heading } of chapters) {
    lines.push(`## ${heading}`, "", "| id | | scenario | played by | fails with |", "|---|---|---|---|---|")
    for (const { absence, gap, id, isGrave, title } of scenarios) {
      const found = of(id)
      const where = [...new Set(found.map(({ path }) => `\`${shortPath(path)}\``))].join("<br>")
      const fails = [...new Set(found.flatMap(({ failsWith }) => failsWith))].map((name) => `\`${name}\``).join("<br>")
      const what = gap === null ? title : `${title} (${gap})`
      const why = found.length > 0 ? where : `– ${absence ?? "not automated yet"}`
      lines.push(`| ${id} | ${isGrave ? "**!**" : ""} | ${cell(what)} | ${why} | ${fails} |`)
    }
    lines.push("")
  }
  lines.push(...bugLines(plays), "", "## Broken variants", "", "| name | what is wrong with it |", "|---|---|")
  for (const { name, says } of variants.values()) lines.push(`| \`${name}\` | ${cell(says)} |`)
  return `${lines.join("\n")}\n`
}
