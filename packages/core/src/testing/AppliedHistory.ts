/** What the committed log has done, once for the whole cluster: which command took which revision. */
import type { Command } from "../domain/Command.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Outcome } from "../domain/Outcome.ts"
import { sequenceOf, sessionOf } from "../domain/RecordCodec.ts"

const noOp: Command = { _tag: "NoOp" }

export interface AppliedCommand {
  readonly index: number
  /** Whether this entry is the one that took effect, and no later copy of what its session knows. */
  readonly isExecuted: boolean
  /** A no-op, where it is not executed. */
  readonly command: Command
  readonly outcome: Outcome
}

/** Whether an answer says that its session did not let the command through. */
export const isRefusedBySession = ({ _tag }: Outcome): boolean =>
  _tag === "SessionExpired" || _tag === "SequenceReused" || _tag === "Sealed"

/** Values of simulated clients are texts. */
export const textOf = (value: Uint8Array): string => Buffer.from(value).toString("utf8")

export class AppliedHistory {
  /** Entry i is at place i - 1. */
  readonly commands: Array<AppliedCommand> = []
  /** The indexes at which a value was written, by value. */
  readonly writesOf = new Map<string, Array<number>>()
  /** Sessions and sequences that were executed. */
  private readonly executed = new Set<string>()

  /** Notes an entry when the first node applies it; whether the others agree is an invariant. */
  note(entry: LogEntry, outcome: Outcome): void {
    if (entry.index !== this.commands.length + 1) return
    const isExecuted = this.isFirst(entry, outcome)
    const command = isExecuted ? decodeCommand(entry.record) : noOp
    this.commands.push({ index: entry.index, isExecuted, command, outcome })
    if (command._tag === "Put") this.noteValue(command.value, entry.index)
    if (command._tag === "Txn") { for (const put of command.puts) this.noteValue(put.value, entry.index) }
  }

  /** Said without the production rule: a copy changes nothing, whatever that rule makes of it. */
  private isFirst({ record }: LogEntry, outcome: Outcome): boolean {
    const session = sessionOf(record)
    if (session === 0) return true
    if (isRefusedBySession(outcome)) return false
    const name = `${session}:${sequenceOf(record)}`
    if (this.executed.has(name)) return false
    this.executed.add(name)
    return true
  }

  /** Whether a value was written. A guarded write whose guard failed is in the log, but has no effect. */
  hasEffect(value: string): boolean {
    return (this.writesOf.get(value) ?? []).some((index) => this.commands[index - 1]?.outcome._tag !== "CompareFailed")
  }

  private noteValue(value: Uint8Array, index: number): void {
    const text = textOf(value)
    const indexes = this.writesOf.get(text)
    if (indexes === undefined) this.writesOf.set(text, [index])
    else indexes.push(index)
  }
}
