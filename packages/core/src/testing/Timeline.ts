/**
 * What happened in a simulated run: a hash over everything, and the last events as text with one column per node.
 *
 * The hash covers each message and disk write by its bytes, each choice and each state change, so two runs with equal
 * hashes took the same path. Fiber ids and object identities stay out of it: they differ between processes.
 */
import { hashText, mix32 } from "./Prng.ts"

/** One line of the timeline. `node` is null for what concerns the whole world, such as a partition. */
export interface TimelineEvent {
  /** Simulated milliseconds since the start. */
  readonly at: number
  readonly node: string | null
  /** Rendered only when somebody reads it. */
  readonly text: string | (() => string)
}

const columnWidth = 44

export class Timeline {
  /** Number of events ever recorded. */
  count = 0
  private low = 0x811c9dc5
  private high = 0x9dc5811c
  private readonly events: Array<TimelineEvent> = []
  private readonly capacity: number

  /** Keeps the last `capacity` events. */
  constructor(capacity = 400) {
    this.capacity = capacity
  }

  /** Takes a number into the hash. */
  mix(value: number): void {
    this.low = mix32(this.low, value | 0)
    this.high = mix32(this.high ^ Math.floor(value / 0x1_0000_0000), this.low)
  }

  /** Takes a text into the hash. */
  mixText(text: string): void {
    this.mix(hashText(text))
  }

  /** Records an event; texts given as functions are not part of the hash, so the caller mixes in what matters. */
  record(at: number, node: string | null, text: string | (() => string)): void {
    this.count++
    this.mix(Math.round(at * 1000))
    if (typeof text === "string") this.mixText(text)
    this.events.push({ at, node, text })
    if (this.events.length >= 2 * this.capacity) this.events.splice(0, this.events.length - this.capacity)
  }

  /** The hash of the whole run so far, 16 hexadecimal digits. */
  get hash(): string {
    const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0")
    return hex(this.high) + hex(this.low)
  }

  /** The last events, oldest first. */
  last(limit = this.capacity): ReadonlyArray<TimelineEvent> {
    return this.events.slice(-Math.min(limit, this.capacity))
  }

  /** The last events as a table: time, then one column for each of `nodes`; what concerns all stands across. */
  render(nodes: ReadonlyArray<string>, limit = 200): string {
    const row = (time: string, cells: ReadonlyArray<string>) => `${time.padStart(12)} | ${cells.join(" | ")}`.trimEnd()
    const lines = [
      row("ms", nodes.map((node) => node.padEnd(columnWidth))),
      row("-".repeat(12), nodes.map(() => "-".repeat(columnWidth)))
    ]
    for (const event of this.last(limit)) {
      const text = typeof event.text === "string" ? event.text : event.text()
      const time = event.at.toFixed(3)
      const column = event.node === null ? -1 : nodes.indexOf(event.node)
      if (column < 0) {
        lines.push(row(time, [`== ${event.node === null ? "" : `${event.node}: `}${text}`]))
        continue
      }
      const cut = text.length <= columnWidth ? text.padEnd(columnWidth) : `${text.slice(0, columnWidth - 1)}…`
      lines.push(row(time, nodes.map((_, i) => (i === column ? cut : " ".repeat(columnWidth)))))
    }
    return lines.join("\n")
  }
}
