/** `npm run bench`: the benchmarks, all of them or by name. */
import { withBundle } from "./clusters/Bundle.ts"
import { document } from "./document.ts"
import { help, type Options, parseOptions } from "./Options.ts"
import { closeShared } from "./Rounds.ts"
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

/** In the order in which they run. */
const everything: ReadonlyArray<Section> = [
  peers,
  writes,
  linearizable,
  stale,
  embedded,
  commit,
  mixed,
  limits,
  cost,
  nodes,
  stress,
  growth,
  endurance,
  profile
]
const byName = new Map([...everything, check].map((section) => [section.name, section]))

const usage = `${help}\n  document         makes the tables and plots of docs/PERFORMANCE.md from the results\n${
  [...byName.values()].map(({ about, name }) => `  ${name.padEnd(16)} ${about}`).join("\n")
}`

/** Those that were named, separated by commas; all of them where none was. */
const chosenBy = (names: string): ReadonlyArray<Section> =>
  names === "" ? everything : names.split(",").map((name) => {
    const section = byName.get(name)
    if (section === undefined) throw new Error(`there is no benchmark ${name}`)
    return section
  })

/** Runs one after the other; one that fails does not keep the others from running. */
const runAll = async (sections: ReadonlyArray<Section>, options: Options): Promise<void> => {
  const ends = performance.now() + (options.minutes ?? Number.POSITIVE_INFINITY) * 60_000
  const failures: Array<string> = []
  for (const section of sections) {
    if (performance.now() > ends) {
      console.error(`${section.name}: left out, the ${options.minutes} minutes are over`)
      continue
    }
    const began = performance.now()
    try {
      await section.run(options)
      console.error(`${section.name}: ${Math.round((performance.now() - began) / 1000)} s`)
    } catch (error) {
      failures.push(`${section.name}: ${error instanceof Error ? error.message : String(error)}`)
      console.error(failures.at(-1))
    }
  }
  if (failures.length > 0) throw new Error(failures.join("\n"))
}

/** What the command line asks for; a mistake in it ends the program with the usage and status 2. */
const read = (): { readonly options: Options; readonly sections: ReadonlyArray<Section> | "document" } => {
  const [first = "", ...rest] = process.argv.slice(2)
  const named = first !== "" && !first.startsWith("-")
  try {
    const options = parseOptions(named ? rest : process.argv.slice(2))
    return { options, sections: options.help ? [] : first === "document" ? first : chosenBy(named ? first : "") }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return process.exit(2)
  }
}

const main = async (): Promise<void> => {
  const { options, sections } = read()
  if (options.help) return console.log(usage)
  if (sections === "document") return document(options, [...everything, check].map(({ name }) => name))
  if (options.install) installTools()
  try {
    await withBundle(() => runAll(sections, options))
  } finally {
    await closeShared()
  }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
