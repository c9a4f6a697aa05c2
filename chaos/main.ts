/** `npm run chaos -- [NAME] …`: what real processes are put through, by name. */
import { failover } from "./failover.ts"
import { floods } from "./flood.ts"
import { frames } from "./frames.ts"
import { install } from "./install.ts"
import { mixed } from "./mixed.ts"
import { stability } from "./stability.ts"
import { transfers } from "./transfer.ts"

const commands = new Map([
  ["mixed", mixed],
  ["failover", failover],
  ["transfer", transfers],
  ["stability", stability],
  ["install", install],
  ["flood", floods],
  ["frames", frames]
])

const [first = "", ...rest] = process.argv.slice(2)
const isNamed = !first.startsWith("-") && first !== ""
const command = isNamed ? commands.get(first) : mixed
if (command === undefined) {
  console.error(`npm run chaos -- [NAME] [options], where NAME is one of: ${[...commands.keys()].join(", ")}`)
  process.exit(2)
}
try {
  await command(isNamed ? rest : process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.stack : error)
  process.exitCode = 1
}
process.exit()
