/**
 * Exit statuses: 0 done · 1 failed for sure · 2 usage · 3 key not found · 4 compare failed · 5 no leader ·
 * 6 outcome unknown · 7 not authorised.
 */
import { Cause, Exit, Schema } from "effect"
import { CliError } from "effect/cli"

export const ExitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  keyNotFound: 3,
  compareFailed: 4,
  noLeader: 5,
  outcomeUnknown: 6,
  notAuthorised: 7
} as const
export type ExitStatus = typeof ExitStatus[keyof typeof ExitStatus]

/** A command's failure that no error of the service describes; `status` is what the program exits with. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  status: Schema.Literals([1, 2])
}) {}

/** The command failed for sure. */
export const failed = (message: string): CommandFailed => new CommandFailed({ message, status: ExitStatus.failed })

/** The command was called wrongly in a way that only its handler can see. */
export const misused = (message: string): CommandFailed => new CommandFailed({ message, status: ExitStatus.usage })

const byTag: Readonly<Record<string, ExitStatus>> = {
  KeyNotFound: ExitStatus.keyNotFound,
  CompareFailed: ExitStatus.compareFailed,
  NoLeader: ExitStatus.noLeader,
  OutcomeUnknown: ExitStatus.outcomeUnknown,
  Forbidden: ExitStatus.notAuthorised,
  InvalidRequest: ExitStatus.usage
}

/** The status with which the program ends after `error`. An error that leaves the outcome open is 6 whatever it is. */
export const statusOf = (error: unknown): ExitStatus => {
  if (CliError.isCliError(error)) return ExitStatus.usage
  if (error instanceof CommandFailed) return error.status
  if (typeof error !== "object" || error === null) return ExitStatus.failed
  const tag = "_tag" in error && typeof error._tag === "string" ? byTag[error._tag] : undefined
  if (tag !== undefined) return tag
  return "applied" in error && error.applied === "unknown" ? ExitStatus.outcomeUnknown : ExitStatus.failed
}

/** The status for the end of a whole run; an interrupted command did not do its work. */
export const statusOfExit = (exit: Exit.Exit<unknown, unknown>): ExitStatus =>
  Exit.isSuccess(exit) ? ExitStatus.done : statusOf(Cause.squash(exit.cause))
