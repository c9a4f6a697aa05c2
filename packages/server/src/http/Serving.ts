/** What the parts of one server share. */
import type { DistKv } from "@distkv/core"
import type { Effect, Fiber } from "effect"
import type { Callers } from "./Callers.ts"
import type { Heads } from "./Head.ts"
import type { HotCalls } from "./HotCalls.ts"
import type { NodeView } from "./NodeView.ts"
import type { Outbox } from "./Outbox.ts"
import type { BodyBudget } from "./RequestBody.ts"
import type { RequestMetrics } from "./RequestMetrics.ts"
import type { EncryptionJson } from "./Wire.ts"

export interface Serving {
  readonly kv: typeof DistKv.Service
  readonly hot: HotCalls
  readonly view: NodeView
  readonly callers: Callers
  readonly metrics: RequestMetrics
  readonly heads: Heads
  readonly outbox: Outbox
  readonly budget: BodyBudget
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** What encrypts this node's packets to the others; null where nobody said. */
  readonly encryption: EncryptionJson | null
  /** The largest value, in bytes. */
  readonly maxValueBytes: number
  /** A reply that its client has not taken after this many milliseconds is given up. */
  readonly writeTimeoutMs: number
  /** Snapshots that are being made or sent. */
  copies: number
  /** True once the server is closing: no new calls, and connections end with their reply. */
  draining: boolean
  /** True once the node has stopped for good. */
  stopped: boolean
}
