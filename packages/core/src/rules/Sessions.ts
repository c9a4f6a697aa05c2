/**
 * The sessions of the replicated state machine, by which a command that is proposed more than once is executed at most
 * once (thesis §6.3): each command names its session and its number in it, and the first copy's result answers the
 * others.
 *
 * A client's session is issued by the store, and the least recently used one makes room for a new one. Each member has
 * one session of its own for what it forwards; it ends when the member is removed or starts another one.
 *
 * Invariants:
 * - for a session and sequence at most one command is executed, and never one after a seal;
 * - all of it follows from the log alone: sessions, their order of use, their results;
 * - at most `clientSessions` clients' sessions, each with at most `clientResults` results; a member's session has at
 *   most `memberResults`, normally as many as it has writes under way.
 */
import type { SessionOwner } from "../domain/Command.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { LogIndex, SessionId } from "../domain/Position.ts"
import type { SessionRow } from "../domain/SessionRow.ts"
import { blockOf, encodeBlock, encodeHead, readSessionRow, type SessionHead } from "./SessionRows.ts"
import { SessionWindow } from "./SessionWindow.ts"

/** Clients' sessions that are open at once. */
export const clientSessions = 4096
/** Results that a client's session remembers: of its last so many sequences. */
export const clientResults = 1024
/** Results that a member's session remembers at most. */
export const memberResults = 65_536

export class Session {
  readonly id: SessionId
  readonly owner: SessionOwner | null
  readonly window: SessionWindow
  usedAt: LogIndex
  /** The sequences that were added since rows were taken last. */
  changedFrom = Number.POSITIVE_INFINITY
  changedTo = 0
  isChanged = false
  /** The blocks that rows were last taken of, and the floor then. */
  storedFrom = 1
  storedTo = 0
  storedFloor = 0

  constructor(id: SessionId, owner: SessionOwner | null, usedAt: LogIndex) {
    this.id = id
    this.owner = owner
    this.usedAt = usedAt
    this.window = new SessionWindow(owner === null ? clientResults : memberResults)
  }
}

export class Sessions {
  private readonly all = new Map<SessionId, Session>()
  /** Clients' sessions, the least recently used first. */
  private readonly clients = new Map<SessionId, Session>()
  private readonly members = new Map<NodeId, Session>()
  private changed: Array<Session> = []
  private ended: Array<Session> = []
  /** Writes come in runs of one session, most of them of a member. */
  private lastFound: Session | undefined

  get count(): number {
    return this.all.size
  }

  find(id: SessionId): Session | undefined {
    if (this.lastFound?.id !== id) this.lastFound = this.all.get(id)
    return this.lastFound
  }

  /** The session of a member, if it has opened one. */
  ofMember(member: NodeId): Session | undefined {
    return this.members.get(member)
  }

  /** Opens a session by the entry at `index`. */
  open(index: LogIndex, owner: SessionOwner | null): SessionId {
    if (owner === null) {
      if (this.clients.size >= clientSessions) this.end(this.clients.values().next().value!)
    } else {
      const present = this.members.get(owner.member)
      if (present?.owner?.run === owner.run) return present.id
      if (present !== undefined) this.end(present)
    }
    const session = new Session((2 * index + (owner === null ? 0 : 1)) as SessionId, owner, index)
    this.keep(session)
    this.change(session)
    return session.id
  }

  /** Notes that the entry at `index` names the session. */
  use(session: Session, index: LogIndex): void {
    session.usedAt = index
    this.change(session)
    if (session.owner !== null) return
    this.clients.delete(session.id)
    this.clients.set(session.id, session)
  }

  /** Adds a result to a session that was just used. */
  add(session: Session, sequence: number, status: number, digest: number, revision: number, number: number): void {
    session.window.add(sequence, status, digest, revision, number)
    if (sequence < session.changedFrom) session.changedFrom = sequence
    if (sequence > session.changedTo) session.changedTo = sequence
  }

  /** Ends the sessions of all who are no members any more. */
  keepMembers(isMember: (id: NodeId) => boolean): void {
    for (const [member, session] of this.members) if (!isMember(member)) this.end(session)
  }

  /** The rows that have changed since the last call. */
  takeRows(): ReadonlyArray<SessionRow> {
    const rows: Array<SessionRow> = []
    for (const session of this.ended) {
      rows.push({ session: session.id, block: 0, bytes: null })
      removeBlocks(rows, session, session.storedFrom, session.storedTo)
    }
    for (const session of this.changed) if (this.all.get(session.id) === session) takeSession(rows, session)
    this.ended = []
    this.changed = []
    return rows
  }

  /** Fills an empty table with all rows of a store or snapshot, in their order. Returns the flaw where there is one. */
  load(rows: Iterable<Uint8Array>): string | null {
    const heads: Array<SessionHead> = []
    const found = new Map<SessionId, Session>()
    for (const bytes of rows) {
      const flaw = readSessionRow(
        bytes,
        (head) => {
          const session = new Session(head.session, head.owner, head.usedAt)
          session.window.raise(head.floor)
          session.window.highest = head.highest
          heads.push(head)
          found.set(head.session, session)
        },
        (id) => found.get(id)?.window
      )
      if (flaw !== null) return flaw
    }
    heads.sort((a, b) => a.usedAt - b.usedAt)
    for (const { session } of heads) {
      const loaded = found.get(session)!
      markStored(loaded)
      this.keep(loaded)
    }
    return null
  }

  private keep(session: Session): void {
    this.all.set(session.id, session)
    if (session.owner === null) this.clients.set(session.id, session)
    else this.members.set(session.owner.member, session)
  }

  private end(session: Session): void {
    this.all.delete(session.id)
    this.clients.delete(session.id)
    if (session.owner !== null) this.members.delete(session.owner.member)
    this.lastFound = undefined
    this.ended.push(session)
  }

  private change(session: Session): void {
    if (session.isChanged) return
    session.isChanged = true
    this.changed.push(session)
  }
}

const takeSession = (rows: Array<SessionRow>, session: Session): void => {
  const { changedFrom, changedTo, id, owner, storedFloor, storedFrom, storedTo, usedAt, window } = session
  const { floor, highest } = window
  rows.push({ session: id, block: 0, bytes: encodeHead({ session: id, owner, usedAt, floor, highest }) })
  const floorBlock = blockOf(floor)
  removeBlocks(rows, session, storedFrom, Math.min(storedTo, floorBlock - 1))
  const first = Math.max(floorBlock, blockOf(Math.min(changedFrom, highest + 1)))
  const last = changedTo > 0 ? blockOf(changedTo) : 0
  // The block in which the floor stands has lost rows, also where none was added to it.
  const hasLost = floor !== storedFloor && floorBlock <= storedTo
  if (hasLost && (floorBlock < first || floorBlock > last)) takeBlock(rows, session, floorBlock)
  for (let block = first; block <= last; block++) takeBlock(rows, session, block)
  markStored(session)
  session.isChanged = false
  session.changedFrom = Number.POSITIVE_INFINITY
  session.changedTo = 0
}

const takeBlock = (rows: Array<SessionRow>, { id, window }: Session, block: number): void => {
  rows.push({ session: id, block, bytes: encodeBlock(id, block, window) })
}

const removeBlocks = (rows: Array<SessionRow>, { id }: Session, from: number, to: number): void => {
  for (let block = from; block <= to; block++) rows.push({ session: id, block, bytes: null })
}

const markStored = (session: Session): void => {
  session.storedFloor = session.window.floor
  session.storedFrom = blockOf(session.window.floor)
  session.storedTo = blockOf(session.window.highest)
}
