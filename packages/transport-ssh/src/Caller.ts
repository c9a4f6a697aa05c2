/** Asking a node at a bare address: one connection, one request, one answer. */
import {
  type Address,
  type AdminCommand,
  type AdminResult,
  encodeMessage,
  NoLeader,
  OutcomeUnknown
} from "@distkv/core"
import { Effect } from "effect"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"
import { dial } from "./Dialer.ts"
import type { ConnectionEvents, PeerConnection } from "./PeerConnection.ts"
import type { HostPort } from "./SshSettings.ts"

export interface CallOptions {
  readonly address: Address
  readonly target: HostPort
  readonly command: AdminCommand
  readonly remainingMs: number
  readonly privateKey: string
  /** This node's public key with its comment. */
  readonly ownLine: string
  readonly verify: (blob: Buffer) => AuthorizedKey | string
  /** What every connection of this node does; the answer to the call is taken out of it here. */
  readonly events: ConnectionEvents
  readonly adopt: (connection: PeerConnection) => void
}

/** A connection carries one call, so its id needs no counting. */
const callId = 1

const unreachable = (options: CallOptions, reason: string): NoLeader =>
  new NoLeader({ message: `the node at ${options.address} cannot be asked: ${reason}` })

const unanswered = (options: CallOptions, reason: string): AdminResult => ({
  _tag: "Failed",
  error: new OutcomeUnknown({ message: `the node at ${options.address} was asked and has not answered: ${reason}` })
})

/** Calls once. What was asked and not answered is `OutcomeUnknown`; before that everything is `NoLeader`. */
export const call = (options: CallOptions): Effect.Effect<AdminResult, NoLeader> =>
  Effect.callback<AdminResult, NoLeader>((resume) => {
    const startedAt = performance.now()
    let connection: PeerConnection | null = null
    let asked = false
    let finished = false
    let refusal: string | null = null
    const finish = (result: Effect.Effect<AdminResult, NoLeader>) => {
      if (finished) return
      finished = true
      clearTimeout(timer)
      giveUp()
      connection?.close("the call is over")
      resume(result)
    }
    const end = (reason: string) =>
      finish(asked ? Effect.succeed(unanswered(options, reason)) : Effect.fail(unreachable(options, reason)))
    const timer = setTimeout(() => end("its time is over"), options.remainingMs)
    const events: ConnectionEvents = {
      ...options.events,
      established: (one) => {
        asked = true
        const remainingMs = Math.max(1, Math.round(options.remainingMs - (performance.now() - startedAt)))
        const { command } = options
        one.push("control", encodeMessage({ _tag: "AdminRequest", id: callId, hops: 0, remainingMs, command }))
        one.flush()
      },
      message: (_connection, message) => {
        if (message._tag === "AdminReply" && message.id === callId) finish(Effect.succeed(message.result))
      },
      refused: (_connection, reason) => (refusal = reason),
      closed: (one, reason) => {
        options.events.closed(one, reason)
        end(refusal ?? reason)
      }
    }
    const giveUp = dial({
      target: options.target,
      privateKey: options.privateKey,
      ownLine: options.ownLine,
      purpose: "call",
      connectTimeoutMs: options.remainingMs,
      timeoutMs: options.remainingMs,
      verify: options.verify,
      events,
      connected: (one) => {
        connection = one
        options.adopt(one)
      },
      failed: end
    })
    return Effect.sync(() => {
      finished = true
      clearTimeout(timer)
      giveUp()
      connection?.close("the caller went away")
    })
  })
