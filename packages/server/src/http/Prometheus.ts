/** `/metrics`, in Prometheus' text format 0.0.4. Labels are few and bounded: never a key. */
import type { NodeMetrics, Status } from "@distkv/core"
import { bucketBounds, type Durations, type RequestMetrics } from "./RequestMetrics.ts"

type Labels = Readonly<Record<string, string>>

/** The media type of the format. */
export const prometheusType = "text/plain; version=0.0.4; charset=utf-8"

const labelText = (labels: Labels): string => {
  const parts = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')}"`
  )
  return parts.length === 0 ? "" : `{${parts.join(",")}}`
}

/** Collects samples, each metric's together under its one description. */
class Exposition {
  readonly #lines: Array<string> = []

  family(
    name: string,
    type: "counter" | "gauge" | "histogram",
    help: string,
    samples: ReadonlyArray<readonly [suffix: string, labels: Labels, value: number]>
  ): void {
    if (samples.length === 0) return
    this.#lines.push(`# HELP distkv_${name} ${help}`, `# TYPE distkv_${name} ${type}`)
    for (const [suffix, labels, value] of samples) {
      this.#lines.push(`distkv_${name}${suffix}${labelText(labels)} ${value}`)
    }
  }

  gauge(name: string, help: string, value: number): void {
    this.family(name, "gauge", help, [["", {}, value]])
  }

  counter(name: string, help: string, value: number): void {
    this.family(name, "counter", help, [["", {}, value]])
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`
  }
}

/** What the process says of itself. */
export interface ProcessSample {
  /** The event loop's delay beyond what was asked for, in seconds, by quantile, since the last reading. */
  readonly loopDelaySeconds: ReadonlyArray<readonly [quantile: string, seconds: number]>
  readonly residentBytes: number
  readonly heapUsedBytes: number
  readonly connections: number
  readonly bodyBytes: number
}

/** The whole page. */
export const render = (
  status: Status,
  node: NodeMetrics,
  requests: RequestMetrics,
  sample: ProcessSample
): string => {
  const out = new Exposition()
  raft(out, status, node)
  peers(out, status, node)
  storage(out, node)
  snapshots(out, node)
  keyValue(out, node, requests)
  runtime(out, node, requests, sample)
  return out.text
}

const flag = (value: boolean): number => (value ? 1 : 0)

const raft = (out: Exposition, status: Status, node: NodeMetrics): void => {
  out.gauge("raft_has_leader", "1 when this node knows a leader.", flag(status.leader !== null))
  out.gauge("raft_is_leader", "1 when this node leads.", flag(status.role === "leader"))
  out.gauge("raft_term", "The node's term.", status.term)
  out.counter("raft_leader_changes_total", "Changes of the known leader.", node.leaderChanges)
  out.counter("raft_elections_started_total", "Elections this node started.", node.electionsStarted)
  out.counter("raft_prevote_rejected_total", "Pre-votes this node was refused.", node.preVotesRejected)
  out.counter(
    "raft_leader_pauses_total",
    "Times that this node, leading, was held up for more than half an election time-out.",
    node.leaderPauses
  )
  out.counter("state_disagreements_total", "States that differed without a majority for either.", node.disagreements)
  out.gauge("raft_proposals_committed_index", "The highest index known to be committed.", status.commit)
  out.gauge("raft_proposals_applied_index", "The highest index applied.", status.applied)
  out.gauge("raft_proposals_pending", "Writes that wait for their commit.", node.proposalsPending)
  out.counter("raft_proposals_total", "Writes proposed here.", node.proposals)
  out.counter("raft_proposals_failed_total", "Writes that failed here.", node.proposalsFailed)
  out.gauge("raft_reads_pending", "Reads that wait for their quorum round.", node.readsPending)
  out.counter("raft_reads_total", "Reads served here.", node.reads)
  out.counter("raft_read_rounds_total", "Quorum rounds that reads shared.", node.readRounds)
  out.gauge("raft_log_entries", "Entries in the log.", node.logEntries)
  out.gauge("raft_ready", "1 when every readiness check holds.", flag(Object.values(status.ready).every(Boolean)))
}

const peers = (out: Exposition, status: Status, node: NodeMetrics): void => {
  const each = (value: (peer: NodeMetrics["peers"][number]) => number) =>
    node.peers.map((peer) => ["", { peer: peer.id }, value(peer)] as const)
  out.family("peer_connected", "gauge", "1 while connected to the peer.", each((peer) => flag(peer.connected)))
  out.family("peer_sent_bytes_total", "counter", "Bytes sent to the peer.", each((peer) => peer.sentBytes))
  out.family("peer_received_bytes_total", "counter", "Bytes received of the peer.", each((peer) => peer.receivedBytes))
  out.family(
    "peer_dropped_messages_total",
    "counter",
    "Messages to the peer that did not fit its bounds.",
    each((peer) => peer.droppedMessages)
  )
  out.family(
    "peer_match_lag_entries",
    "gauge",
    "Entries the peer is behind, as the leader knows.",
    status.members.flatMap((member) =>
      member.lag === null || member.id === status.nodeId ? [] : [["", { peer: member.id }, member.lag] as const]
    )
  )
}

const storage = (out: Exposition, node: NodeMetrics): void => {
  out.counter("storage_log_commits_total", "Durable commits of the log.", node.logCommits)
  out.counter("storage_log_commit_seconds_total", "Time spent in them.", node.logCommitSeconds)
  out.counter("storage_checkpoints_total", "Checkpoints of the state.", node.checkpoints)
  out.counter("storage_checkpoint_seconds_total", "Time spent in them.", node.checkpointSeconds)
  out.gauge("storage_log_bytes", "Bytes of the log.", node.logBytes)
  out.gauge("storage_overlay_bytes", "Bytes applied and not yet checkpointed.", node.overlayBytes)
}

const snapshots = (out: Exposition, node: NodeMetrics): void => {
  out.counter("snapshots_built_total", "Snapshots built for followers.", node.snapshotsBuilt)
  out.counter("snapshot_build_seconds_total", "Time spent on building them.", node.snapshotBuildSeconds)
  out.counter("snapshot_sent_bytes_total", "Bytes of snapshots sent to followers.", node.snapshotSentBytes)
  out.counter("snapshot_received_bytes_total", "Bytes of snapshots received.", node.snapshotReceivedBytes)
  out.counter("snapshots_installed_total", "Snapshots that took the place of the state.", node.snapshotsInstalled)
  out.counter(
    "snapshot_install_seconds_total",
    "Time from a snapshot's last byte until it was the state.",
    node.snapshotInstallSeconds
  )
  out.counter("snapshots_failed_total", "Snapshots that were thrown away.", node.snapshotsFailed)
  out.gauge("snapshot_last_index", "The last entry of the latest snapshot built or installed.", node.snapshotLastIndex)
  out.gauge("snapshot_building", "1 while a snapshot is being built.", flag(node.snapshotBuilding))
  out.gauge("snapshot_receiving", "1 while a snapshot is on its way in.", flag(node.snapshotReceiving))
}

const keyValue = (out: Exposition, node: NodeMetrics, requests: RequestMetrics): void => {
  out.gauge("kv_keys", "Keys in the store.", node.keys)
  out.family(
    "kv_requests_total",
    "counter",
    "Requests by what they did and how they ended.",
    [...requests.outcomes].flatMap(([op, outcomes]) =>
      [...outcomes].map(([outcome, count]) => ["", { op, outcome }, count] as const)
    )
  )
  out.family(
    "kv_request_duration_seconds",
    "histogram",
    "From a request's head to its answer.",
    [...requests.durations].flatMap(([op, durations]) => histogram(op, durations))
  )
}

const histogram = (op: string, durations: Durations): Array<readonly [string, Labels, number]> => {
  const samples: Array<readonly [string, Labels, number]> = []
  let below = 0
  bucketBounds.forEach((bound, i) => {
    below += durations.buckets[i] ?? 0
    samples.push(["_bucket", { op, le: String(bound) }, below])
  })
  samples.push(["_bucket", { op, le: "+Inf" }, durations.count])
  samples.push(["_sum", { op }, durations.sumSeconds], ["_count", { op }, durations.count])
  return samples
}

const runtime = (out: Exposition, node: NodeMetrics, requests: RequestMetrics, sample: ProcessSample): void => {
  out.family(
    "event_loop_delay_seconds",
    "gauge",
    "The event loop's delay since the last reading.",
    sample.loopDelaySeconds.map(([quantile, seconds]) => ["", { quantile }, seconds] as const)
  )
  out.counter("forwarded_total", "Calls forwarded to the leader.", node.forwarded)
  out.counter("forwarded_retries_total", "Forwarded writes that were sent again.", node.retried)
  out.gauge("sessions", "Sessions that are open.", node.sessions)
  out.counter("overload_rejections_total", "Calls refused since a queue was full.", node.overloaded)
  out.counter("inbox_dropped_total", "Messages of peers for which the inbox had no room.", node.peerMessagesDropped)
  out.counter("inbox_refused_total", "Forwarded writes refused for want of room.", node.peerWritesRefused)
  out.gauge("http_requests_in_flight", "Requests being served.", requests.inFlight)
  out.gauge("http_connections", "Open HTTP connections.", sample.connections)
  out.counter("http_connections_dropped_total", "Connections refused over the limit.", requests.connectionsDropped)
  out.gauge("http_body_bytes", "Bytes of bodies being received.", sample.bodyBytes)
  out.gauge("process_resident_memory_bytes", "Resident memory.", sample.residentBytes)
  out.gauge("process_heap_used_bytes", "Used JavaScript heap.", sample.heapUsedBytes)
}
