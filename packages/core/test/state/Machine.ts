/** A state machine over a store in memory, fed with entries of term 1 unless told otherwise, one after the other. */
import { Effect } from "effect"
import type { Command } from "../../src/domain/Command.ts"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { ClusterId } from "../../src/domain/Identity.ts"
import type { Outcome } from "../../src/domain/Outcome.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import { StateMachine } from "../../src/state/StateMachine.ts"

export const clusterId = "0123456789abcdef0123456789abcdef" as ClusterId

/** Where a command stands in a session. */
export interface Place {
  readonly session?: number
  readonly sequence?: number
  /** The lowest sequence that its client has had no answer to. */
  readonly unacknowledged?: number
  readonly term?: number
}

export class Machine {
  private readonly state = new MemoryStateStore.MemoryState()
  private readonly store = MemoryStateStore.make(this.state)
  inner = new StateMachine(this.store, null)

  /** One that begins with the snapshot of `source`, moved as bytes in small pieces. */
  static of(source: Machine): Machine {
    const machine = new Machine()
    const snapshot = source.snapshot()
    const meta = Effect.runSync(Effect.scoped(Effect.gen(function*() {
      const incoming = yield* machine.store.receive
      for (let at = 0; at < snapshot.id.bytes; at += 700) yield* incoming.append(yield* snapshot.read(at, 700))
      yield* incoming.prepare
      return yield* incoming.install
    })))
    machine.inner = new StateMachine(machine.store, meta)
    return machine
  }

  apply(command: Command, { sequence = 0, session = 0, term = 1, unacknowledged = 0 }: Place = {}): Outcome {
    const index = (this.inner.applied + 1) as LogIndex
    return this.inner.apply(stamp(encodeCommand(command, session, sequence, unacknowledged), term as Term, index))
  }

  /** Opens a client's session; its number. */
  openSession(): number {
    const outcome = this.apply({ _tag: "OpenSession", owner: null })
    return outcome._tag === "SessionOpened" ? outcome.session : 0
  }

  checkpoint(): void {
    if (!this.inner.isDirty) return
    Effect.runSync(this.store.checkpoint(this.inner.freeze()))
    this.inner.thaw()
  }

  /** The snapshot of everything applied. */
  snapshot() {
    this.checkpoint()
    return this.state.snapshot(clusterId)!
  }
}
