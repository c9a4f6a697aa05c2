/** The whole command line, and how it is run. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer } from "effect"
import { CliConfig, CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import { version } from "../version.ts"
import { benchCommand } from "./BenchCommand.ts"
import { memberCommand, statusCommand, transferCommand } from "./ClusterCommands.ts"
import { ExitStatus, statusOfExit } from "./ExitStatus.ts"
import { Json } from "./Flags.ts"
import { initCommand, keysCommand } from "./KeyCommands.ts"
import { demoCommand, startCommand } from "./NodeCommands.ts"
import { backupCommand, recoverCommand, restoreCommand, verifyCommand } from "./OfflineCommands.ts"
import { deleteCommand, getCommand, listCommand, setCommand } from "./StoreCommands.ts"

/** The program's command with all that belongs to it. */
export const command = Command.make("distkv").pipe(
  Command.withDescription("A strongly consistent key-value store, replicated over SSH"),
  Command.withSubcommands([
    demoCommand,
    initCommand,
    startCommand,
    statusCommand,
    getCommand,
    setCommand,
    deleteCommand,
    listCommand,
    keysCommand,
    memberCommand,
    transferCommand,
    backupCommand,
    restoreCommand,
    verifyCommand,
    recoverCommand,
    benchCommand
  ]),
  Command.withGlobalFlags([Json])
)

/** A wrong call is answered with what is wrong, on standard error; the whole help is a flag away. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag === "Version") return Console.log(event.version)
    if (event._tag === "Help" && event.reason === "Requested") return CliOutput.defaultPresenter.present(event)
    if (event._tag === "Help") {
      return Console.error(CliOutput.defaultFormatter({ colors: process.stderr.isTTY }).formatHelpDoc(event.helpDoc))
    }
    const lines = event.errors.map((error) => `distkv: ${error.message}`)
    return Console.error([...lines, `Try: ${event.commandPath.join(" ")} --help`].join("\n"))
  }
}

const services = Layer.mergeAll(
  NodeServices.layer,
  CliOutput.layerPresenter(presenter),
  // The other built-in flags are not part of this program: it asks no questions, and only a node has a log level.
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)

/** The message of whatever ended the program, without a stack: a stack is shown for a defect only, which is a bug. */
const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (Cause.hasDies(cause)) return `distkv: this is a bug: ${Cause.pretty(cause)}`
  return `distkv: ${error instanceof Error ? error.message : String(error)}`
}

/** Whether the user has already been told, by the parser or the help. */
const isTold = (error: unknown): boolean => CliError.isCliError(error) && error._tag === "ShowHelp"

/** Runs the command line and gives the status to exit with; says on standard error what went wrong. */
export const run = (args: ReadonlyArray<string>): Effect.Effect<ExitStatus> =>
  Command.runWith(command, { version })(args).pipe(
    Effect.provide(services),
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) || isTold(Cause.squash(cause)) ? Effect.void : Console.error(describe(cause))
    ),
    Effect.exit,
    Effect.map(statusOfExit)
  )

/** Runs the command line as this process, and exits. */
export const runMain = (args: ReadonlyArray<string>): void => {
  // Whoever reads our output may stop reading; what is left to say then has no reader.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))
  }
  Effect.runFork(run(args)).addObserver((exit) => process.exit(Exit.isSuccess(exit) ? exit.value : ExitStatus.failed))
}
