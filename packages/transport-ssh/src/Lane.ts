/**
 * One channel of a connection. What is pushed waits until `flush` and then goes out in a single write, because SSH
 * costs per packet and hardly per byte. While the peer's window is closed nothing is written at all.
 */
import type { Duplex } from "node:stream"
import { FrameReader } from "./FrameReader.ts"
import { maxHelloBytes } from "./SshWire.ts"

export interface LaneEvents {
  /** A whole frame; answers whether to go on reading. */
  readonly frame: (kind: number, body: Uint8Array) => boolean
  /** The lane ended or broke the rules; the connection is to end with it. */
  readonly broken: (reason: string, malformed: boolean) => void
}

export class Lane {
  /** Whether the peer's first hello on this lane was accepted. */
  greeted = false
  readonly reader: FrameReader
  private channel: Duplex | null = null
  private readonly events: LaneEvents
  private chunks: Array<Uint8Array> = []
  private queued = 0
  private blocked = false

  constructor(events: LaneEvents) {
    this.events = events
    this.reader = new FrameReader(maxHelloBytes, events.frame)
  }

  get open(): boolean {
    return this.channel !== null
  }

  /** Bytes that wait here or in the channel. */
  get buffered(): number {
    return this.queued + (this.channel?.writableLength ?? 0)
  }

  attach(channel: Duplex): void {
    this.channel = channel
    channel.on("data", (chunk: Buffer) => {
      const flaw = this.reader.push(chunk)
      if (flaw !== null) this.events.broken(flaw, true)
    })
    // A channel that ends without the connection ending is as lost as one whose connection was cut.
    channel.on("end", () => this.events.broken("the other side ended the channel", false))
    channel.on("close", () => this.events.broken("the channel was closed", false))
    channel.on("error", (error: Error) => this.events.broken(error.message, false))
    channel.on("drain", () => {
      this.blocked = false
      this.flush()
    })
  }

  push(kind: number, body: Uint8Array): void {
    const header = Buffer.allocUnsafe(5)
    header.writeUInt32BE(body.length + 1, 0)
    header[4] = kind
    this.chunks.push(header, body)
    this.queued += 5 + body.length
  }

  flush(): void {
    if (this.channel === null || this.blocked || this.queued === 0) return
    const bytes = Buffer.concat(this.chunks, this.queued)
    this.chunks = []
    this.queued = 0
    this.blocked = !this.channel.write(bytes)
  }

  /** Forgets what waits; nothing is written any more. */
  drop(): void {
    this.chunks = []
    this.queued = 0
    this.channel?.resume()
    this.channel = null
  }
}
