/** What a node holds for its callers and peers: every number is 0 when nobody wants anything of it (I28). */
import type { NodeState } from "./NodeState.ts"

export const heldBy = (node: NodeState): Readonly<Record<string, number>> => {
  const { admission } = node.parts
  return {
    "writes": node.writes.count,
    "bytes of writes": node.writes.bytes,
    "places of writes": node.writes.places,
    "reads": node.reads.count,
    "places of reads": node.reads.places,
    "callers' writes": admission.writes,
    "bytes of callers' writes": admission.writeBytes,
    "callers' reads": admission.reads,
    "changes of the cluster": admission.changes,
    "changes that wait for a leader": node.waitingAdmin.length,
    "changes passed on": node.passedOn.size,
    "requesters of transfers": node.transfers.length,
    ...node.leadership?.held()
  }
}
