/** `GET /v1/snapshot`: a consistent copy of the store as a stream, in the format of snapshots. */
import { type DistKvError, Overloaded } from "@distkv/core"
import { Cause, Effect, Option, Result, Stream } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { problemAnswer, writeAnswer } from "./Answer.ts"
import { pairsOf } from "./Head.ts"
import { checkNames, timeoutOf } from "./Parameters.ts"
import { problemOf } from "./Problem.ts"
import type { Query } from "./RequestTarget.ts"
import type { Serving } from "./Serving.ts"

/** Copies that are made or sent at once: each is a file as large as the store. */
const copiesMost = 2

const allowed: ReadonlySet<string> = new Set(["timeout"])

/** The request gets an answer of its own, whole or cut short: a copy that is cut short lacks its trailer. */
export const serve = (serving: Serving, request: IncomingMessage, response: ServerResponse, query: Query): void => {
  const startedMs = serving.metrics.begin()
  const end = (outcome: string) => serving.metrics.end("snapshot", outcome, startedMs)
  const fail = (error: DistKvError) => {
    end(error._tag)
    const answer = problemAnswer(problemOf(error), serving.view.failureHeaders(error))
    writeAnswer(response, answer, serving.draining)
  }
  const timeoutMs = Result.flatMap(checkNames(query, allowed), () => timeoutOf(query))
  if (Result.isFailure(timeoutMs)) return fail(timeoutMs.failure)
  if (serving.copies >= copiesMost) {
    const message = `this node has ${copiesMost} snapshots under way`
    return fail(new Overloaded({ message, retryAfterMs: 1000 }))
  }
  serving.copies++
  const options = timeoutMs.success === undefined ? {} : { timeout: timeoutMs.success }
  const pieces = serving.kv.snapshot(options)
  const isHead = request.method === "HEAD"
  // The head goes out with the first piece: until then a failure is an answer like any other.
  const fiber = serving.run(Stream.runForEach(isHead ? Stream.take(pieces, 1) : pieces, (piece) => {
    if (!response.headersSent) response.writeHead(200, headersOf(serving))
    return isHead ? Effect.void : write(response, piece, serving.writeTimeoutMs)
  }))
  let over = false
  response.on("close", () => over || fiber.interruptUnsafe())
  fiber.addObserver((exit) => {
    over = true
    serving.copies--
    if (exit._tag === "Success") {
      end("ok")
      return void response.end()
    }
    const failure = Cause.findErrorOption(exit.cause)
    if (Option.isSome(failure) && !response.headersSent && !response.destroyed) return fail(failure.value)
    end(Option.isSome(failure) ? failure.value._tag : "aborted")
    // Whoever reads notices by the missing end.
    response.destroy()
  })
}

const headersOf = (serving: Serving): Array<string> =>
  pairsOf(
    "Content-Type: application/octet-stream\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" +
      serving.view.headers()
  )

/** Writes a piece, and waits until the client has taken it; gives the client up when it does not in time. */
const write = (response: ServerResponse, piece: Uint8Array, timeoutMs: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (response.write(piece)) return resume(Effect.void)
    const timer = setTimeout(() => response.destroy(), timeoutMs)
    const onDrain = () => {
      clearTimeout(timer)
      resume(Effect.void)
    }
    response.once("drain", onDrain)
    return Effect.sync(() => {
      clearTimeout(timer)
      response.off("drain", onDrain)
    })
  })
