/** `npm run chaos -- [NAME] …`: what real processes are put through, by name. */
import { failover } from "./failover.ts"
import { floods } from "./flood.ts"
import { frames } from "./frames.ts"
import { hostile } from "./hostile.ts"
import { install } from "./install.ts"
import { mixed } from "./mixed.ts"
import { UsageError } from "./Site.ts"
import { stability } from "./stability.ts"
import { transfers } from "./transfer.ts"

const commands = new Map([
  ["mixed", mixed],
  ["failover", failover],
  ["transfer", transfers],
  ["stability", stability],
  ["install", install],
  ["flood", floods],
  ["frames", frames],
  ["hostile", hostile]
])

const [first = "", ...rest] = process.argv.slice(2)
const usage = `npm run chaos -- [NAME] [options], where NAME is one of: ${[...commands.keys()].join(", ")}`
const isNamed = !first.startsWith("-") && first !== ""
const command = isNamed ? commands.get(first) : mixed
if (command === undefined) {
  console.error(`there is no ${first}\nusage: ${usage}`)
  process.exit(2)
}
if (first === "--help") console.log(`usage: ${usage}\n`)
try {
  await command(isNamed ? rest : process.argv.slice(2))
} catch (error) {
  const isMistaken = error instanceof UsageError
  console.error(isMistaken ? `${error.message}\nusage: ${usage}` : error instanceof Error ? error.stack : error)
  process.exitCode = isMistaken ? 2 : 1
}
process.exit()
