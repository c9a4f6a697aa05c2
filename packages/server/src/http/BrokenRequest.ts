/** What never became a request: malformed, too large a head, or too slow. Answered on the socket, then closed. */
import { InvalidRequest } from "@distkv/core"
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { type Problem, problemOf, problemType, titleOf } from "./Problem.ts"

/** The response that a socket's latest request waits for. */
const responses = new WeakMap<Socket, ServerResponse>()

/** Remembers whom to answer when what follows on the socket turns out to be broken. */
export const noteResponse = (socket: Socket, response: ServerResponse): void => {
  responses.set(socket, response)
}

const problemFor = (code: string | undefined): Problem => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return problemOf(new InvalidRequest({ message: "the request's head is too large", tooLarge: true }), 431)
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return problemOf(new InvalidRequest({ message: "the chunk extensions are too large", tooLarge: true }), 413)
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return problemOf(new InvalidRequest({ message: "the request did not arrive in time" }), 408)
    default:
      return problemOf(new InvalidRequest({ message: "the request is not HTTP/1.1" }), 400)
  }
}

/** How long a client may take to read the answer before the socket is destroyed. */
const lingerMs = 1000

/** Whether the socket is free for an answer: no reply is on its way, and none to an earlier, whole request is due. */
const mayAnswer = (pending: ServerResponse | undefined): boolean =>
  pending === undefined || pending.writableFinished ||
  (!pending.headersSent && !pending.req.complete && pending.socket !== null)

/**
 * Answers what cannot be parsed, or is too slow, and closes the connection.
 *
 * The answer is written past the response that may wait for it, which thereby ends unanswered: so whatever serves that
 * request learns that its client is gone.
 */
export const answerBroken = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (socket.destroyed || !socket.writable || error.code === "ECONNRESET" || !mayAnswer(responses.get(socket))) {
    socket.destroy()
    return
  }
  const problem = problemFor(error.code)
  socket.end(
    `HTTP/1.1 ${problem.status} ${titleOf(problem.status)}\r\nContent-Type: ${problemType}\r\n` +
      `Cache-Control: no-cache\r\nContent-Length: ${Buffer.byteLength(problem.body)}\r\nConnection: close\r\n\r\n` +
      problem.body
  )
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once("close", () => clearTimeout(timer))
}
