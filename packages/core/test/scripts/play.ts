/**
 * Plays scripts outside the tests: `node packages/core/test/scripts/play.ts [--traces | --untraced] [name …]`. Prints
 * what fails; with `--traces` it writes the traces anew, with `--untraced` it does not look at them. `=name` is a whole
 * name, any other word a part of one. `npm run scenarios` calls it.
 */
import { goldenOf, keepGolden, readScript, scriptNames } from "./library.ts"
import { playScript } from "./playScript.ts"

const words = process.argv.slice(2)
const keeps = words.includes("--traces")
const wanted = words.filter((word) => !word.startsWith("--"))
const isMeant = (name: string, word: string) => word.startsWith("=") ? name === word.slice(1) : name.includes(word)
const names = scriptNames().filter((name) => wanted.length === 0 || wanted.some((word) => isMeant(name, word)))

for (const name of names) {
  try {
    const trace = playScript(readScript(name))
    if (keeps) keepGolden(name, trace)
    else if (!words.includes("--untraced") && trace !== goldenOf(name)) {
      throw new Error(`${name}: the trace has changed`)
    }
    process.stdout.write(`ok ${name}\n`)
  } catch (error) {
    process.stderr.write(`${String(error)}\n`)
    process.exitCode = 1
  }
}
