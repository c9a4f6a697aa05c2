/**
 * The calls that wait for this node's answer.
 *
 * Whoever calls chooses an id and a name as it likes, also those of a member. So each request gets an id of this node's
 * own, beyond all ids on links, under which the answer finds its way back to the connection it came from.
 */
import { firstCallId, type PeerMessageOf } from "@distkv/core"
import type { PeerConnection } from "./PeerConnection.ts"

/** Requests that one connection may have open; more are ignored. */
const maxOpenCalls = 16

interface Caller {
  readonly connection: PeerConnection
  readonly id: number
}

export class CallDesk {
  private readonly callers = new Map<number, Caller>()
  private next = firstCallId

  /** The request as it is handed on; null when its connection asks for too much. */
  take(connection: PeerConnection, request: PeerMessageOf<"AdminRequest">): PeerMessageOf<"AdminRequest"> | null {
    let open = 0
    for (const caller of this.callers.values()) if (caller.connection === connection) open++
    if (open >= maxOpenCalls) return null
    const id = this.next++
    this.callers.set(id, { connection, id: request.id })
    return { ...request, id }
  }

  /** Whom an answer is for, and under which id it asked; undefined when that one is gone. */
  settle(id: number): Caller | undefined {
    const caller = this.callers.get(id)
    this.callers.delete(id)
    return caller?.connection.closed === false ? caller : undefined
  }

  forget(connection: PeerConnection): void {
    for (const [id, caller] of this.callers) if (caller.connection === connection) this.callers.delete(id)
  }
}
