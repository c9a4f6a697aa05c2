/** Nodes of one cluster with a link between them. */
import { TransportStation } from "@distkv/core/testing"
import { Effect } from "effect"
import { makePair } from "./nodes.ts"

const { clusterA, connect, identityOf, start } = TransportStation

/** Whether a station has its link with every other member. */
export const connected = (station: TransportStation.Station) => station.open.links().every((link) => link.connected)

/** Two nodes of one cluster that are connected. */
export const makeConnected = Effect.fnUntraced(function*(options: Parameters<typeof makePair>[0] = {}) {
  const [near, far] = yield* makePair(options)
  const one = yield* start(near.transport, identityOf("n1", clusterA))
  const other = yield* start(far.transport, identityOf("n2", clusterA))
  yield* connect(one, other)
  return { near, far, one, other }
})
