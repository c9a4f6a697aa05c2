/**
 * Answers that are there at once, written together when all requests that arrived in the same poll have been read.
 *
 * Each written at once would wake its client in the midst of the others' requests; back to back they cost less. A
 * caller alone would only wait for nothing, so where answers keep coming singly, they are written at once, but for one
 * now and then that looks whether there is company again.
 */
import { Result } from "effect"
import type { ServerResponse } from "node:http"
import { type Answer, writeAnswer } from "./Answer.ts"
import type { Heads } from "./Head.ts"

interface Letter {
  readonly response: ServerResponse
  readonly answer: Answer
  readonly close: boolean
}

/** So many are written without waiting for more: what they need is still in the processor's caches. */
const fullBatch = 32
/** After so many answers without company the next are written at once. */
const loneEnough = 8
/** One in so many of those waits nevertheless; odd, so that of two that come together each has its turn to wait. */
const probeEvery = 15

export class Outbox {
  readonly #heads: Heads
  readonly #onDefect: (defect: unknown) => void
  #letters: Array<Letter> = []
  /** How often in a row one answer was alone. */
  #lone = 0
  #sinceProbe = 0

  /** `onDefect` is told what a write threw; its connection is ended. */
  constructor(heads: Heads, onDefect: (defect: unknown) => void) {
    this.#heads = heads
    this.#onDefect = onDefect
  }

  /** Writes an answer, at the end of this turn at the latest. */
  post(response: ServerResponse, answer: Answer, close: boolean): void {
    if (this.#letters.length === 0) {
      if (this.#lone >= loneEnough && ++this.#sinceProbe < probeEvery) return this.#write(response, answer, close)
      this.#sinceProbe = 0
      setImmediate(this.#flush)
    }
    if (this.#letters.push({ response, answer, close }) === fullBatch) this.#writeAll()
  }

  readonly #flush = (): void => {
    if (this.#letters.length > 1) this.#lone = 0
    else if (this.#letters.length === 1) this.#lone++
    this.#writeAll()
  }

  #writeAll(): void {
    const letters = this.#letters
    this.#letters = []
    for (const { answer, close, response } of letters) this.#write(response, answer, close)
  }

  #write(response: ServerResponse, answer: Answer, close: boolean): void {
    const written = Result.try(() => writeAnswer(response, answer, close, this.#heads))
    if (Result.isSuccess(written)) return
    // Without an end its client would wait for the answer.
    this.#onDefect(written.failure)
    response.destroy()
  }
}
