/** What every reply says of the node that gave it. */
import { directCalls, type DistKv, type DistKvError, type Revision, type Standing } from "@distkv/core"
import { Exit } from "effect"
import type { FlatHeaders } from "./Answer.ts"
import type { Serving } from "./Serving.ts"

/**
 * A node's own service is asked with each reply. The status of any other is read once for the requests of one turn of
 * the event loop; where reading takes longer than a turn, the reading before stands in until the new one is there.
 */
export class NodeView {
  readonly #kv: typeof DistKv.Service
  readonly #run: Serving["run"]
  readonly #direct: (() => Standing) | undefined
  /** Null before the first reading; the last one once the node is closed. */
  #standing: Standing | null = null
  #headers: ReadonlyArray<string> = []
  #fresh = false

  constructor(kv: typeof DistKv.Service, run: Serving["run"]) {
    this.#kv = kv
    this.#run = run
    this.#direct = directCalls(kv)?.standing
  }

  /** `Distkv-*` headers; `revision` is the one the reply shows, else the node's own is told. */
  headers(revision?: Revision): FlatHeaders {
    const headers: Array<string> = []
    this.addTo(headers, revision)
    return headers
  }

  /** Adds what `headers` returns. */
  addTo(headers: Array<string>, revision?: Revision): void {
    if (this.#direct === undefined) this.#refresh()
    else this.#take(this.#direct())
    for (const part of this.#headers) headers.push(part)
    const shown = revision ?? this.#standing?.revision
    if (shown !== undefined) headers.push("Distkv-Revision", String(shown))
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
        if (Exit.isSuccess(exit)) this.#take(exit.value)
        this.#fresh = false
      })
    } else {
      if (Exit.isSuccess(exit)) this.#take(exit.value)
      setImmediate(() => {
        this.#fresh = false
      })
    }
  }

  #take(standing: Standing): void {
    const before = this.#standing
    this.#standing = standing
    const { clusterId, leader, nodeId, term } = standing
    if (before !== null && before.term === term && before.leader === leader && before.clusterId === clusterId) return
    const headers = ["Distkv-Term", String(term), "Distkv-Served-By", nodeId]
    if (clusterId !== null) headers.push("Distkv-Cluster", clusterId)
    if (leader !== null) headers.push("Distkv-Leader", leader)
    this.#headers = headers
  }
}
