/** What a node becomes when a snapshot has taken the place of its state (thesis §5.3, §4.2.2). */
import { assert, describe, it } from "@effect/vitest"
import type { Membership } from "../../src/domain/Membership.ts"
import type { Revision } from "../../src/domain/Position.ts"
import type { SnapshotHeader, SnapshotId } from "../../src/domain/Snapshot.ts"
import type { StateMeta } from "../../src/StateStore.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id, nodes } from "../rules/Voters.ts"
import { append, Bench, cluster, clusterId, configure, peer, put } from "./Bench.ts"

const last = { term: term(2), index: index(10) }
const snapshot: SnapshotId = { last, bytes: 3, checksum: 7 }

const metaOf = (membership: Membership): StateMeta => ({
  applied: last,
  revision: 9 as Revision,
  compactRevision: 0 as Revision,
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0,
  membership
})

const without = (n: number): Membership => {
  const { members, ...rest } = cluster(3)
  const gone = members.find((member) => member.id === id(n))!
  return {
    ...rest,
    members: members.filter((member) => member !== gone),
    tombstones: [{ id: gone.id, publicKey: gone.publicKey }]
  }
}

/** Sends a snapshot that ends with entry 10 of term 2 and holds this membership, and lets it be installed. */
const install = (bench: Bench, membership: Membership): Bench => {
  bench.deliver(append(2, 2, [2, 10])).persist()
  bench.deliver(
    peer(2, { _tag: "SnapshotPiece", term: term(2), id: snapshot, offset: 0, data: new Uint8Array(3) }),
    { _tag: "SnapshotKept", id: snapshot, bytes: 3 }
  )
  const { applied: _, ...meta } = metaOf(membership)
  const header: SnapshotHeader = { ...meta, clusterId, last, digest: null }
  bench.deliver({ _tag: "SnapshotPrepared", id: snapshot, header })
  return bench
}

const installed = (bench: Bench, membership: Membership): Bench =>
  install(bench, membership).deliver({ _tag: "SnapshotInstalled", meta: metaOf(membership) }).persist()

describe("an installed snapshot", () => {
  it("takes the log's place, with the membership that it holds", () => {
    const bench = installed(new Bench({ log: [1, 1] }), without(3))
    const { commit, log, machine, membership } = bench.node
    assert.deepStrictEqual([bench.asked, log.last, commit], [["receive 10", "append 3", "prepare", "install"], 10, 10])
    assert.strictEqual(machine.applied, last.index)
    assert.deepStrictEqual(membership.members.map((one) => one.id), [id(1), id(2)])
    assert.deepStrictEqual(bench.directory?.members.map((one) => one.id), nodes(2), "and the transport knows")
  })

  it("tells a node that was away that it is removed: it keeps that, calls nobody and campaigns no more", () => {
    const bench = installed(new Bench({ log: [1, 1] }), without(1))
    assert.deepStrictEqual([bench.saved, bench.directory?.members], [["removed"], []])
    bench.elapse(100_000).deliver({ _tag: "ElectionDue" })
    assert.strictEqual(bench.node.role, "Follower")
  })

  it("leaves a log that has its last entry as it is, and a removal in what follows is none before it is committed", () => {
    const bench = new Bench({ log: [1, 1] })
    install(bench, cluster(3))
    const entries = [...Array.from({ length: 8 }, (_, i) => put(2, i + 3)), configure(2, 11, without(1))]
    bench.deliver(append(2, 2, [1, 2], entries)).persist()
    bench.deliver({ _tag: "SnapshotInstalled", meta: metaOf(cluster(3)) })
    assert.deepStrictEqual([bench.node.log.last, bench.node.commit, bench.saved], [index(11), index(10), []])
    bench.deliver(append(2, 2, [2, 11], [], 11))
    assert.deepStrictEqual(bench.saved, ["removed"])
  })
})
