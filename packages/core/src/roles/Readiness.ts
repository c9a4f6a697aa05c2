/**
 * Which learner may be made a voter (thesis §4.2.1): one that has caught up, and that every live voter reaches.
 *
 * A learner catches up in rounds: each ends when it has what the leader had at its beginning. It has caught up when the
 * last one took less than an election time-out and less than 1,000 entries are left.
 */
import type { NodeId } from "../domain/Identity.ts"
import { voterIds } from "../domain/Membership.ts"
import type { Link, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import type { NodeState } from "./NodeState.ts"
import type { Replication } from "./Replication.ts"

/** A learner is caught up when it lags by less than this many entries. */
const caughtUpEntries = 1000

interface CatchUp {
  target: LogIndex
  startedAt: number
  lastRoundMs: number
}

export class Readiness {
  /** What the followers said last of their links. */
  readonly reports = new Map<NodeId, PeerMessageOf<"LinkReport">>()
  private readonly node: NodeState
  private readonly replication: Replication
  private readonly catchUps = new Map<NodeId, CatchUp>()

  constructor(node: NodeState, replication: Replication) {
    this.node = node
    this.replication = replication
  }

  /** Whether `id` was in contact within two election time-outs; this node itself is. */
  readonly isLive = (id: NodeId): boolean => this.replication.isLive(id, 2 * this.node.parts.electionTimeout)

  /** Called with every heartbeat: the learners that shall become voters are watched, and no others. */
  watch(learners: ReadonlySet<NodeId>): void {
    for (const id of this.catchUps.keys()) if (!learners.has(id)) this.catchUps.delete(id)
    for (const id of learners) this.advance(id)
  }

  /** What keeps this learner from being made a voter; null where nothing does. */
  obstacle(id: NodeId): string | null {
    const { log, parts } = this.node
    if (!this.isLive(id)) return `${id} is not in contact with the leader`
    const lag = log.last - this.replication.match(id)
    const lastRoundMs = this.catchUps.get(id)?.lastRoundMs ?? Number.POSITIVE_INFINITY
    if (lag >= caughtUpEntries || lastRoundMs >= parts.electionTimeout) {
      return `${id} has not caught up: it is ${lag} entries behind`
    }
    const missing = this.missingAt(id)
    return missing.length === 0
      ? null
      : `${id} is not reached by ${missing.join(", ")}, or its key is not accepted there`
  }

  /** The members whose keys `id` lacks, and those that it does not reach for no reason that stands elsewhere. */
  missingOf(id: NodeId): ReadonlyArray<NodeId> {
    const links = this.linksOf(id)
    if (links === undefined) return []
    const refuses = (one: ReadonlyArray<Link> | undefined, other: NodeId) =>
      one?.some((link) => link.id === other && !link.accepts) ?? false
    // One that is down is not reached either, and one that lacks this key itself is named as that.
    return this.node.membership.members
      .map((member) => member.id)
      .filter((other) =>
        other !== id &&
        (refuses(links, other) ||
          (!reaches(links, other) && this.isLive(other) && !refuses(this.linksOf(other), id)))
      )
  }

  /** The live voters (this node included) that do not reach `id`, or do not accept its key. */
  private missingAt(id: NodeId): ReadonlyArray<NodeId> {
    return voterIds(this.node.membership).filter((voter) =>
      voter !== id && this.isLive(voter) && !reaches(this.linksOf(voter), id)
    )
  }

  private linksOf(id: NodeId): ReadonlyArray<Link> | undefined {
    return id === this.node.id ? this.node.parts.transport.links() : this.reports.get(id)?.links
  }

  private advance(id: NodeId): void {
    const { log, now } = this.node
    const round = this.catchUps.get(id)
    if (round === undefined) {
      this.catchUps.set(id, { target: log.last, startedAt: now, lastRoundMs: Number.POSITIVE_INFINITY })
    } else if (this.replication.match(id) >= round.target) {
      round.lastRoundMs = now - round.startedAt
      round.target = log.last
      round.startedAt = now
    }
  }
}

const reaches = (links: ReadonlyArray<Link> | undefined, id: NodeId): boolean =>
  links?.some((link) => link.id === id && link.accepts && link.connected) ?? false
