/** The program's entry: the command line's arguments in, an exit status out. */
import { runMain } from "./cli/Program.ts"

runMain(process.argv.slice(2))
