// How the commands of package.json read what follows them.
import { parseArgs } from "node:util"

/**
 * Says how a command is used, and ends: with status 2 for a mistake, with 0 where only that was asked.
 * @param {string} usage
 * @param {string} [mistake]
 * @returns {never}
 */
export const endWithUsage = (usage, mistake) => {
  if (mistake === undefined) console.log(`usage: ${usage}`)
  else console.error(`${mistake}\nusage: ${usage}`)
  return process.exit(mistake === undefined ? 0 : 2)
}

/**
 * The options that follow the command; what cannot be understood ends it.
 * @template {import("node:util").ParseArgsOptionsConfig} O
 * @param {string} usage
 * @param {O} options
 */
export const readArguments = (usage, options) => {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) endWithUsage(usage)
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return endWithUsage(usage, /** @type {Error} */ (error).message)
  }
}

/**
 * An option's value as a number from 0 on.
 * @param {string} usage
 * @param {string} name
 * @param {string} text
 */
export const numberOf = (usage, name, text) =>
  /^\d+(\.\d+)?$/.test(text) ? Number(text) : endWithUsage(usage, `--${name} wants a number`)
