/**
 * What happened, as text that stays the same until the behaviour changes: no times, rounds or ids, no heartbeats and
 * no acknowledgement that says what was said before. It is kept beside the script as `<name>.trace`.
 */
import { messageText } from "../../src/testing/MessageText.ts"
import type { Packet } from "../../src/testing/NetworkFaults.ts"

interface Step {
  readonly role: string
  readonly term: number
  readonly commit: number
}

export class Trace {
  private on = false
  private readonly lines: Array<string> = []
  private readonly said = new Map<string, string>()

  /** From here on what happens is noted. */
  start(): void {
    this.on = true
  }

  stop(): void {
    this.on = false
  }

  /** A command of the script. */
  command(text: string): void {
    this.line(`> ${text}`)
  }

  sent({ from, message, to }: Packet, fate: string): void {
    if (message._tag === "LinkReport" || (message._tag === "AppendRequest" && message.entries.length === 0)) return
    const text = messageText(message).replace(/ (#\d+|r\d+|c\d+|hops \d+)\b/g, "")
    const link = `${from}>${to}`
    if (message._tag === "AppendReply") {
      if (this.said.get(link) === text) return
      this.said.set(link, text)
    }
    this.line(`${link} ${text}${fate === "deliver" ? "" : ` (${fate})`}`)
  }

  stepped(after: Step & { readonly id: string }, before: Step | null): void {
    if (before === null || before.role !== after.role || before.term !== after.term) {
      this.line(`${after.id} is ${after.role} in t${after.term}`)
    }
    if (after.commit > (before?.commit ?? 0)) this.line(`${after.id} commits ${after.commit}`)
  }

  /** The whole trace; null where the script asked for none. */
  get text(): string | null {
    return this.lines.length === 0 ? null : `${this.lines.join("\n")}\n`
  }

  private line(text: string): void {
    if (this.on) this.lines.push(text)
  }
}
