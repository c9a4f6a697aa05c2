/** `npm run bench -- NAME …`: the benchmarks by name. */
import { commit } from "./commit.ts"

const benchmarks = new Map([["commit", commit]])

const [name = "", ...args] = process.argv.slice(2)
const benchmark = benchmarks.get(name)
if (benchmark === undefined) {
  console.error(`npm run bench -- NAME [options], where NAME is one of: ${[...benchmarks.keys()].join(", ")}`)
  process.exit(2)
}
try {
  await benchmark(args)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
