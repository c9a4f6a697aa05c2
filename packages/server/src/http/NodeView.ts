/** What every reply says of the node that gave it. */
import { type DistKv, type DistKvError, type Revision, type Status } from "@distkv/core"
import { type Context, Effect, Exit, type Fiber } from "effect"
import type { FlatHeaders } from "./Answer.ts"

/**
 * The node's status as of this turn of the event loop: the requests of one turn share one reading of it.
 *
 * Where reading takes longer than a turn, the reading before stands in until the new one is there.
 */
export class NodeView {
  readonly #kv: typeof DistKv.Service
  readonly #run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  #status: Status | null = null
  #headers: FlatHeaders = []
  #fresh = false

  constructor(kv: typeof DistKv.Service, context: Context.Context<never>) {
    this.#kv = kv
    this.#run = Effect.runForkWith(context)
  }

  /** Null before the first reading; the last one once the node is closed. */
  get status(): Status | null {
    this.#refresh()
    return this.#status
  }

  /** `Distkv-*` headers; `revision` is the one the reply shows, else the node's own is told. */
  headers(revision?: Revision): FlatHeaders {
    this.#refresh()
    const shown = revision ?? this.#status?.revision
    return shown === undefined ? this.#headers : [...this.#headers, "Distkv-Revision", String(shown)]
  }

  /** As `headers`, for a failure, which may carry a revision of its own. */
  failureHeaders(error: DistKvError): FlatHeaders {
    return this.headers(error._tag === "KeyNotFound" || error._tag === "CompareFailed" ? error.revision : undefined)
  }

  #refresh(): void {
    if (this.#fresh) return
    this.#fresh = true
    const fiber = this.#run(this.#kv.status)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) {
      fiber.addObserver((exit) => {
        this.#take(exit)
        this.#fresh = false
      })
    } else {
      this.#take(exit)
      setImmediate(() => {
        this.#fresh = false
      })
    }
  }

  #take(exit: Exit.Exit<Status, unknown>): void {
    if (Exit.isFailure(exit)) return
    const status = exit.value
    this.#status = status
    const headers = ["Distkv-Term", String(status.term), "Distkv-Served-By", status.nodeId]
    if (status.clusterId !== null) headers.push("Distkv-Cluster", status.clusterId)
    if (status.leader !== null) headers.push("Distkv-Leader", status.leader)
    this.#headers = headers
  }
}
