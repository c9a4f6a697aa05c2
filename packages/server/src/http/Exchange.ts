/** One request on the lean path, from its arrival to its single answer. */
import { type DistKvError, type Done, type KeyNotFound, Shutdown } from "@distkv/core"
import { Cause, Effect, Exit, Option, Result } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { type Answer, problemAnswer, writeAnswer } from "./Answer.ts"
import type { HeaderLines } from "./Head.ts"
import { type Cancel, inFiber } from "./HotCalls.ts"
import { defect, problemOf } from "./Problem.ts"
import { dropBody, readBody, refuseDeclared } from "./RequestBody.ts"
import type { Operation } from "./RequestMetrics.ts"
import type { Serving } from "./Serving.ts"

/** Replies above this size get a timer that gives them up; smaller ones fit the socket's buffers. */
const timedBodyBytes = 64 * 1024

/** Headers of the answer that a key is absent: it is a read's result too. */
type OfAbsent = (error: KeyNotFound) => HeaderLines
const nothing: OfAbsent = () => ""

/** Gives up a reply that its client does not take. */
export const limitWriting = (response: ServerResponse, timeoutMs: number): void => {
  const timer = setTimeout(() => response.destroy(), timeoutMs)
  response.on("close", () => clearTimeout(timer))
}

/**
 * Answers exactly once, or never where the client goes away first: then the call is given up, and a write that was
 * already handed over has its one fate without anybody being told.
 */
export class Exchange {
  readonly #serving: Serving
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #operation: Operation
  readonly #startedMs: number
  #cancel: Cancel = null
  #abandonBody: (() => void) | undefined
  #ended = false
  #watched = false
  /** Whether the call is only just being made. */
  #atOnce = false
  /** What the answer that a key is absent says besides. */
  #ofAbsent: OfAbsent = nothing

  constructor(serving: Serving, request: IncomingMessage, response: ServerResponse, operation: Operation) {
    this.#serving = serving
    this.#request = request
    this.#response = response
    this.#operation = operation
    this.#startedMs = serving.metrics.begin()
  }

  /** Learns of the client's going; what is answered at once needs not. */
  #watch(): void {
    if (this.#watched) return
    this.#watched = true
    this.#response.on("close", () => {
      this.#abandonBody?.()
      if (this.#ended) return
      this.#end("aborted")
      this.#cancel?.()
    })
  }

  /** Runs the call in a fiber of its own and answers with its exit; what making the call throws is a defect of it. */
  run(call: () => Effect.Effect<Answer, DistKvError>): void {
    this.begin<Answer>((done) => inFiber(this.#serving.run, call, done), (answer) => answer)
  }

  /**
   * Begins a call, and answers with its result in the words of `wording`; what either throws is a defect of the call.
   * `ofAbsent` are further headers of the answer that the key is absent: it is a read's result too.
   */
  begin<A>(
    call: (done: Done<A, DistKvError>) => Cancel,
    wording: (result: A) => Answer,
    ofAbsent: OfAbsent = nothing
  ): void {
    this.#ofAbsent = ofAbsent
    const done = (exit: Exit.Exit<A, DistKvError>): void => {
      if (this.#ended) return
      const answered = Result.try(() => {
        if (Exit.isSuccess(exit)) this.#answer("ok", wording(exit.value))
        else this.#refuse(exit.cause)
      })
      if (Result.isSuccess(answered)) return
      if (!this.#ended) return this.#refuse(Cause.die(answered.failure))
      // The answer itself could not be written: without an end its client would wait for it.
      this.#serving.run(Effect.logError("a reply met a defect", answered.failure))
      this.#response.destroy()
    }
    this.#atOnce = true
    const begun = Result.try(() => call(done))
    if (Result.isFailure(begun)) done(Exit.die(begun.failure))
    else this.#cancel = begun.success
    this.#atOnce = false
    if (!this.#ended) this.#watch()
  }

  /** Reads the whole body, at most `limit` bytes of it, and makes the call for it; answers 413 or 429 by itself. */
  withBody(
    limit: number,
    expectsContinue: boolean,
    call: (body: Buffer) => void
  ): void {
    const refused = refuseDeclared(this.#request, limit)
    if (refused !== undefined) {
      if (expectsContinue) this.#response.setHeader("Connection", "close")
      else dropBody(this.#request)
      return this.fail(refused)
    }
    if (expectsContinue) this.#response.writeContinue()
    this.#watch()
    this.#abandonBody = readBody(
      this.#request,
      limit,
      this.#serving.budget,
      call,
      (failure) => this.fail(failure)
    )
  }

  fail(error: DistKvError, status?: number): void {
    const headers = this.#serving.view.failureHeaders(error)
    const all = error._tag === "KeyNotFound" ? headers + this.#ofAbsent(error) : headers
    this.#answer(error._tag, problemAnswer(problemOf(error, status), all))
  }

  #refuse(cause: Cause.Cause<DistKvError>): void {
    const failure = Cause.findErrorOption(cause)
    if (Option.isSome(failure)) return this.fail(failure.value)
    if (Cause.hasInterruptsOnly(cause)) return this.fail(new Shutdown())
    this.#serving.run(Effect.logError("a request met a defect", cause))
    this.#answer(defect.code, problemAnswer(defect))
  }

  #end(outcome: string): void {
    this.#ended = true
    this.#serving.metrics.end(this.#operation, outcome, this.#startedMs)
  }

  #answer(outcome: string, answer: Answer): void {
    if (this.#ended) return
    this.#end(outcome)
    if (answer.body !== null && answer.body.length > timedBodyBytes) {
      limitWriting(this.#response, this.#serving.writeTimeoutMs)
    }
    if (this.#atOnce) this.#serving.outbox.post(this.#response, answer, this.#serving.draining)
    else writeAnswer(this.#response, answer, this.#serving.draining, this.#serving.heads)
  }
}
