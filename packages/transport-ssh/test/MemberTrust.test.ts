/** Trust by membership: the keys of committed members are accepted beside those in the files, as long as they are. */
import type { Membership } from "@distkv/core"
import { TransportStation } from "@distkv/core/testing"
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { connected } from "./support/connected.ts"
import { temporaryDirectory } from "./support/keys.ts"
import { makeAlone, makeNode } from "./support/nodes.ts"
import { helloOf, knock, makeKey, peer, portOf, settled } from "./support/raw.ts"

const { clusterA, connect, expect, identityOf, memberOf, membershipOf, start, until } = TransportStation
type Station = TransportStation.Station

/** Nodes that trust nobody by file. */
const strangers = Effect.fnUntraced(function*(count: number, trust: "file" | "members") {
  const nodes = yield* Effect.forEach(Array.from({ length: count }), () => makeAlone({ trust }))
  const stations = yield* Effect.forEach(
    nodes,
    ({ transport }, i) => start(transport, identityOf(`n${i + 1}`, clusterA))
  )
  return { nodes, stations }
})

const tell = (stations: ReadonlyArray<Station>, inForce: Membership, committed?: Membership) => {
  for (const { open } of stations) open.setMembership(inForce, committed)
}

const gone = (membership: Membership, station: Station): Membership => ({
  ...membership,
  members: membership.members.filter(({ id }) => id !== station.id),
  tombstones: [{ id: station.id, publicKey: station.transport.publicKey }]
})

/** What a node says of a member whose key it does not accept. */
const refusal = "its key is not in"

describe("trust by membership", () => {
  it.live("members reach each other with no key of another in any file", () =>
    Effect.gen(function*() {
      const { stations } = yield* strangers(3, "members")
      yield* connect(...stations)
      for (const { open } of stations) assert.isTrue(open.links().every((link) => link.accepts))
    }))

  it.live("is not given unless asked for: by file alone the same members stay strangers", () =>
    Effect.gen(function*() {
      const { nodes, stations } = yield* strangers(2, "file")
      tell(stations, membershipOf(...stations.map(memberOf)))
      yield* until("both say why", () => nodes.every(({ logged }) => logged.some((line) => line.includes(refusal))))
      assert.isFalse(stations.some(connected))
    }))

  it.live("counts from the moment that the membership is committed", () =>
    Effect.gen(function*() {
      const { nodes, stations } = yield* strangers(2, "members")
      const [one] = stations
      const both = membershipOf(...stations.map(memberOf))
      tell(stations, both, membershipOf(memberOf(one!)))
      yield* until("the first says why", () => nodes[0]!.logged.some((line) => line.includes(refusal)))
      assert.isFalse(stations.some(connected), "an appended member is none yet")
      tell(stations, both, both)
      yield* until("they are connected", () => stations.every(connected))
    }))

  it.live("ends with the membership: live connections are closed, and the key proves nothing any more", () =>
    Effect.gen(function*() {
      const { nodes, stations } = yield* strangers(3, "members")
      const [one, other, third] = stations
      yield* connect(...stations)
      const all = membershipOf(...stations.map(memberOf))
      // Appended only, the removal may still be taken back.
      tell([one!, other!], { ...gone(all, third!), members: all.members, tombstones: [] }, all)
      assert.isTrue(stations.every(connected))
      const before = Date.now()
      tell([one!, other!], gone(all, third!))
      yield* until("it is cut off", () => third!.open.links().every((link) => !link.connected))
      yield* expect("within a second", Date.now() - before < 1000)
      yield* until("it was told", () => third!.heard.some(({ message }) => message._tag === "Refused"))
      assert.isTrue(connected(one!) && connected(other!), "the others stay")
      const pem = fs.readFileSync(nodes[2]!.key.file, "utf8")
      const late = yield* knock(portOf(one!.open.address), { privateKey: pem, authHandler: ["publickey"] })
      yield* settled(() => late.ready() || late.closed())
      assert.isFalse(late.ready(), "the key of a removed member was accepted")
    }))

  it.live("leaves a removed member's key in the file no way in, beyond being told so", () =>
    Effect.gen(function*() {
      for (const trust of ["file", "members"] as const) {
        const key = makeKey()
        const dir = yield* temporaryDirectory
        yield* Keys.init(dir, {})
        yield* Keys.authorize(dir, key.publicKey)
        const node = yield* makeNode(dir, { trust })
        const station = yield* start(node.transport, identityOf("n1", clusterA))
        const tombstones = [{ id: identityOf("n2", null).nodeId, publicKey: key.publicKey }]
        station.open.setMembership({ ...membershipOf(memberOf(station)), tombstones })
        const raw = yield* peer(portOf(station.open.address), key, helloOf("n2", { clusterId: clusterA }))
        yield* until("it is cut off", () => raw.closed())
        assert.isAbove(raw.received(), 0, "it was told")
        assert.lengthOf(station.heard, 0)
        assert.isTrue(node.logged.some((line) => line.includes("it was removed from the cluster")))
      }
    }))

  it.live("goes by the key, whatever name somebody uses", () =>
    Effect.gen(function*() {
      const { nodes, stations } = yield* strangers(3, "members")
      const [one, other, third] = stations
      const impostor = { ...memberOf(third!), id: other!.id }
      one!.open.setMembership(membershipOf(memberOf(one!), memberOf(other!)))
      third!.open.setMembership(membershipOf(memberOf(one!), impostor))
      const told = "does not accept this node's key"
      yield* until("it is refused", () => nodes[2]!.logged.some((line) => line.includes(told)))
      assert.isFalse(connected(third!))
      assert.lengthOf(one!.heard, 0)
    }))
})
