/** What every reply says of the node that gave it. */
import { directCalls, type DistKv, type DistKvError, type Revision, type Standing } from "@distkv/core"
import { Exit } from "effect"
import type { HeaderLines } from "./Head.ts"
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
  #lines: HeaderLines = ""
  #fresh = false

  constructor(kv: typeof DistKv.Service, run: Serving["run"]) {
    this.#kv = kv
    this.#run = run
    this.#direct = directCalls(kv)?.standing
  }

  /** `Distkv-*` headers; `revision` is the one the reply shows, else the node's own is told. */
  headers(revision?: Revision): HeaderLines {
    if (this.#direct === undefined) this.#refresh()
    else this.#take(this.#direct())
    const shown = revision ?? this.#standing?.revision
    return shown === undefined ? this.#lines : `${this.#lines}Distkv-Revision: ${shown}\r\n`
  }

  /** As `headers`, for a failure, which may carry a revision of its own. */
  failureHeaders(error: DistKvError): HeaderLines {
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
    this.#lines = `Distkv-Term: ${term}\r\nDistkv-Served-By: ${nodeId}\r\n` +
      (clusterId === null ? "" : `Distkv-Cluster: ${clusterId}\r\n`) +
      (leader === null ? "" : `Distkv-Leader: ${leader}\r\n`)
  }
}
