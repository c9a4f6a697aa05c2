/** `npm run bench`: the benchmarks, all of them or by name. */
import { document } from "./document.ts"
import { help, parseOptions } from "./Options.ts"
import type { Section } from "./Section.ts"
import { check } from "./sections/check.ts"
import { commit, embedded, linearizable, mixed, stale, writes } from "./sections/comparisons.ts"
import { cost } from "./sections/cost.ts"
import { endurance } from "./sections/endurance.ts"
import { growth } from "./sections/growth.ts"
import { limits } from "./sections/limits.ts"
import { nodes } from "./sections/nodes.ts"
import { peers } from "./sections/peers.ts"
import { profile } from "./sections/profile.ts"
import { stress } from "./sections/stress.ts"
import { installTools } from "./Tools.ts"

/** In the order in which they run; `commit` is a selection for those who work on the write path. */
const everything: ReadonlyArray<Section> = [
  peers,
  writes,
  linearizable,
  stale,
  embedded,
  mixed,
  limits,
  cost,
  nodes,
  stress,
  growth,
  endurance,
  profile
]
const byName = new Map([...everything, commit, check].map((section) => [section.name, section]))

const usage = `${help}\n  document         makes the tables and plots of docs/PERFORMANCE.md from the results\n${
  [...byName.values()].map(({ about, name }) => `  ${name.padEnd(16)} ${about}`).join("\n")
}`

const main = async (): Promise<void> => {
  const [first = "", ...rest] = process.argv.slice(2)
  const named = first !== "" && !first.startsWith("-")
  const options = parseOptions(named ? rest : process.argv.slice(2))
  if (options.help) return console.log(usage)
  if (first === "document") return document(options, everything.map(({ name }) => name))
  const chosen = named ? [byName.get(first)] : everything
  if (options.install) installTools()
  for (const section of chosen) {
    if (section === undefined) throw new Error(`there is no benchmark ${first}\n\n${usage}`)
    await section.run(options)
  }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
