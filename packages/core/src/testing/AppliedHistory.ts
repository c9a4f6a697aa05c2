/** What the committed log has done, once for the whole cluster: which command took which revision. */
import type { Command } from "../domain/Command.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Outcome } from "../domain/Outcome.ts"

export interface AppliedCommand {
  readonly index: number
  readonly command: Command
  readonly outcome: Outcome
}

/** Values of simulated clients are texts. */
export const textOf = (value: Uint8Array): string => Buffer.from(value).toString("utf8")

export class AppliedHistory {
  /** Entry i is at place i - 1. */
  readonly commands: Array<AppliedCommand> = []
  /** The indexes at which a value was written, by value. */
  readonly writesOf = new Map<string, Array<number>>()

  /** Notes an entry when the first node applies it; whether the others agree is an invariant. */
  note(entry: LogEntry, outcome: Outcome): void {
    if (entry.index !== this.commands.length + 1) return
    const command = decodeCommand(entry.record)
    this.commands.push({ index: entry.index, command, outcome })
    if (command._tag === "Put") this.noteValue(command.value, entry.index)
    if (command._tag === "Txn") { for (const put of command.puts) this.noteValue(put.value, entry.index) }
  }

  private noteValue(value: Uint8Array, index: number): void {
    const text = textOf(value)
    const indexes = this.writesOf.get(text)
    if (indexes === undefined) this.writesOf.set(text, [index])
    else indexes.push(index)
  }
}
