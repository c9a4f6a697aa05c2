/** How a cluster looks on a terminal. */
import type { ClusterJson } from "../http/Wire.ts"
import { styled, table } from "./Output.ts"

const orDash = (value: string | number | null): string => value === null ? "-" : String(value)

/** The members, a row for each; what only the leader knows is a dash elsewhere. */
export const memberTable = (cluster: Pick<ClusterJson, "members">): ReadonlyArray<string> =>
  table([
    ["MEMBER", "ROLE", "VOTER", "HEALTHY", "LAG", "CONTACT", "RAFT", "HTTP", "VERSION", "MISSING KEYS"],
    ...cluster.members.map((member) => [
      member.id,
      member.role,
      member.voter ? "yes" : "no",
      member.healthy === null ? "-" : member.healthy ? "yes" : "NO",
      orDash(member.lag),
      member.lastContactMs === null ? "-" : `${Math.round(member.lastContactMs)}ms`,
      member.address,
      orDash(member.http),
      orDash(member.version),
      member.missingKeys.length === 0 ? "-" : member.missingKeys.join(",")
    ])
  ])

const tolerance = (cluster: ClusterJson): string => {
  const voters = cluster.members.filter((member) => member.voter).length
  if (cluster.failureTolerance === null) return `${voters} voters; only the leader knows how many may fail`
  return `${cluster.failureTolerance} of ${voters} voters may fail now`
}

const refusals = {
  removed: "removed from the cluster for good",
  rolledBack: "its directory is an older one; remove it, and join as a new node"
} as const

/** A node's whole view: itself, its cluster, the members. */
export const statusLines = (cluster: ClusterJson): ReadonlyArray<string> => [
  `cluster   ${cluster.clusterId ?? "none yet: this node awaits a join"}`,
  `node      ${styled("bold", cluster.nodeId)} (${cluster.refused === "removed" ? "removed" : cluster.role})`,
  ...(cluster.refused === undefined ? [] : [`refused   ${styled("red", refusals[cluster.refused])}`]),
  `leader    ${
    cluster.leader === null ? styled("red", "none known") : styled("green", cluster.leader)
  }, term ${cluster.term}`,
  `log       committed ${cluster.commit}, applied ${cluster.applied}`,
  ...(cluster.members.length === 0 ? [] : [`quorum    ${tolerance(cluster)}`, "", ...memberTable(cluster)])
]
