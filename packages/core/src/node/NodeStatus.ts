/** What a node says of itself and its cluster: read from its state between two turns, never needing the quorum. */
import type { MemberStatus, NodeMetrics, Readiness, RoleName, Status } from "../DistKv.ts"
import type { Address } from "../domain/Identity.ts"
import { findMember, type Member } from "../domain/Membership.ts"
import type { NodeState } from "../roles/NodeState.ts"
import { failureTolerance } from "../rules/Quorum.ts"
import type { Checkpointer } from "./Checkpointer.ts"
import type { Committer } from "./Committer.ts"
import type { SnapshotCounters } from "./SnapshotBooks.ts"

/** A node is behind when this many committed entries wait to be applied. */
const readyLag = 1000

const roleName = (node: NodeState): RoleName => {
  if (node.role === "Leader") return "leader"
  if (node.role === "Candidate") return "candidate"
  const own = findMember(node.membership, node.id)
  return own === undefined || own.standing === "voter" ? "follower" : "learner"
}

export const readiness = (node: NodeState, failed: boolean, closing: boolean): Readiness => {
  const now = node.parts.clock()
  return {
    leader: node.role === "Leader" ||
      (node.leader !== null && now - node.leaderContactAt < node.parts.electionTimeout),
    applied: node.commit - node.machine.applied < readyLag,
    storage: !failed && !node.diskFull,
    open: !closing,
    member: node.belonging.refused === null
  }
}

const memberStatus = (node: NodeState, member: Member): MemberStatus => {
  const known = node.leadership?.knows(member.id) ?? null
  const now = node.parts.clock()
  const own = member.id === node.id
  return {
    ...member,
    healthy: node.leadership === null ? null : node.leadership.isLive(member.id),
    lastContactMs: known === null ? null : own ? 0 : Math.max(0, Math.round(now - known.contactAt)),
    match: known?.match ?? null,
    lag: known === null ? null : Math.max(0, node.log.last - known.match),
    version: own ? node.parts.version : known?.version ?? null,
    missingKeys: known?.missing ?? [],
    rolledBack: known?.forgot ?? null
  }
}

export const memberStatuses = (node: NodeState): ReadonlyArray<MemberStatus> =>
  node.membership.members.map((member) => memberStatus(node, member))

export const statusOf = (node: NodeState, address: Address, failed: boolean, closing: boolean): Status => ({
  clusterId: node.clusterId,
  nodeId: node.id,
  publicKey: node.parts.publicKey,
  address: findMember(node.membership, node.id)?.address ?? address,
  role: roleName(node),
  term: node.term,
  leader: node.leader,
  commit: node.commit,
  applied: node.machine.applied,
  revision: node.machine.revision,
  failureTolerance: node.leadership === null
    ? null
    : Math.max(0, failureTolerance(node.membership, (id) => node.leadership!.isLive(id))),
  members: memberStatuses(node),
  ready: readiness(node, failed, closing),
  refused: node.belonging.refused
})

/** Counters that the node's callers keep. */
export interface CallCounters {
  proposals: number
  proposalsFailed: number
  reads: number
  overloaded: number
}

export const metricsOf = (
  node: NodeState,
  committer: Committer,
  checkpointer: Checkpointer,
  snapshots: Readonly<SnapshotCounters>,
  calls: CallCounters
): NodeMetrics => ({
  electionsStarted: node.counters.elections,
  leaderChanges: node.counters.leaderChanges,
  preVotesRejected: node.counters.preVotesRejected,
  leaderPauses: node.counters.pauses,
  disagreements: node.counters.disagreements,
  proposalsPending: node.writes.count,
  proposals: calls.proposals,
  proposalsFailed: calls.proposalsFailed,
  readsPending: node.reads.count,
  reads: calls.reads,
  readRounds: node.counters.readRounds,
  forwarded: node.counters.forwarded,
  retried: node.counters.retried,
  sessions: node.machine.sessions.count,
  overloaded: calls.overloaded,
  peerMessagesDropped: node.parts.admission.dropped,
  peerWritesRefused: node.parts.admission.shed,
  logCommits: committer.counters.commits,
  logCommitSeconds: committer.counters.seconds,
  logBytes: committer.counters.bytes,
  logEntries: node.log.last - node.log.first + 1,
  checkpoints: checkpointer.counters.count,
  checkpointSeconds: checkpointer.counters.seconds,
  overlayBytes: node.machine.dirtyBytes,
  snapshotsBuilt: snapshots.built,
  snapshotBuildSeconds: snapshots.buildSeconds,
  snapshotSentBytes: snapshots.sentBytes,
  snapshotReceivedBytes: snapshots.receivedBytes,
  snapshotsInstalled: snapshots.installed,
  snapshotInstallSeconds: snapshots.installSeconds,
  snapshotsFailed: snapshots.failed,
  snapshotLastIndex: snapshots.lastIndex,
  snapshotBuilding: snapshots.building,
  snapshotReceiving: snapshots.receiving,
  keys: node.machine.counters.keys,
  peers: node.parts.transport.traffic()
})
