/** Invariants about what a node says and believes, each shown a node that breaks it. */
import { assert, describe, it } from "@effect/vitest"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogId, LogIndex, Term } from "../../src/domain/Position.ts"
import type { FollowerView } from "../../src/state/Observer.ts"
import { identityOf } from "../../src/testing/Founding.ts"
import { GlobalView, markOf } from "../../src/testing/GlobalView.ts"
import { committedImmutable } from "../../src/testing/invariants/CommittedImmutable.ts"
import { durableBeforeSend } from "../../src/testing/invariants/DurableBeforeSend.ts"
import { ordering } from "../../src/testing/invariants/Ordering.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { SimDisk } from "../../src/testing/SimDisk.ts"
import { SimWorld } from "../../src/testing/SimWorld.ts"
import { putEntry } from "../simulation/calls.ts"

const follower = "n2" as NodeId

describe("I11", () => {
  const reproaches = (last: LogId) => {
    const world = new SimWorld({ seed: 1 })
    const view = new GlobalView(world)
    const disk = new SimDisk(world, follower)
    disk.prepare(identityOf(follower), { term: 2 as Term, votedFor: null }, [putEntry(1, 1, "a"), putEntry(2, 2, "b")])
    view.addNode(disk)
    view.add(durableBeforeSend(view))
    const id = { last, bytes: 100, checksum: 1 }
    view.sent(
      follower,
      "n1" as NodeId,
      { _tag: "SnapshotReply", term: 2 as Term, id, offset: 100, progress: "done" },
      undefined
    )
    return world.violations.map(({ invariant }) => invariant)
  }
  const at = (term: number, index: number): LogId => ({ term: term as Term, index: index as LogIndex })

  it("lets a node say that it has a snapshot whose last entry is in its durable log, and no other", () => {
    assert.deepStrictEqual(reproaches(at(2, 2)), [])
    assert.deepStrictEqual(reproaches(at(1, 2)), ["I11"])
    assert.deepStrictEqual(reproaches(at(2, 3)), ["I11"])
  })
})

describe("I9", () => {
  const reproaches = (match: number, next: number, underWay: ReadonlyArray<number>) => {
    const cluster = SimCluster.make({ nodes: 3 })
    cluster.start()
    const leader = cluster.view.node(cluster.leader()!)
    const progress: FollowerView = {
      match: match as LogIndex,
      next: next as LogIndex,
      underWay: underWay.map((last) => ({ last: last as LogIndex }))
    }
    const { applied, commit } = leader.last!
    const view = { applied, commit, last: leader.log.length, progress: new Map([["n9" as NodeId, progress]]) }
    ordering(cluster.view).stepped?.(leader, view as never, leader.last)
    return cluster.world.violations.map(({ invariant }) => invariant)
  }

  it("finds appends on their way that do not lie between match and next, or not in order", () => {
    assert.deepStrictEqual(reproaches(0, 2, [1]), [])
    assert.deepStrictEqual(reproaches(1, 2, [1]), ["I9"])
    assert.deepStrictEqual(reproaches(0, 2, [2]), ["I9"])
    assert.deepStrictEqual(reproaches(0, 2, [1, 1]), ["I9"])
    assert.deepStrictEqual(reproaches(1, 1, []), ["I9"])
  })
})

describe("I6", () => {
  const shared = putEntry(1, 1, "a")
  const committed = putEntry(2, 2, "b")
  const other = putEntry(3, 2, "c")

  /** A node whose disk holds the other entry by now, and what the checker says as the second is dropped. */
  const setUp = () => {
    const world = new SimWorld({ seed: 1 })
    const view = new GlobalView(world)
    const disk = new SimDisk(world, follower)
    disk.prepare(identityOf(follower), { term: 3 as Term, votedFor: null }, [shared, other])
    const node = view.addNode(disk)
    const first = markOf(undefined, shared)
    const [lost, kept] = [markOf(first, committed), markOf(first, other)]
    // The leader of term 4 has said first that it is committed.
    view.committed.push({ ...first, knownIn: 2 as Term }, { ...lost, knownIn: 4 as Term })
    const checker = committedImmutable(view)
    return {
      restart: () => checker.started?.(node),
      /** Its log follows a leader of this term. */
      logDrops: (term: number) => {
        node.log = [first, kept]
        checker.appended?.(node, { term } as never, [other], [lost])
      },
      diskDrops: () => checker.written?.(node, 2 as LogIndex, [committed]),
      reproaches: () => world.violations.map(({ message }) => message.replace(/.* from its /, ""))
    }
  }

  it("lets a log follow a leader that came before the one that committed, and the disk follow the log", () => {
    const { diskDrops, logDrops, reproaches } = setUp()
    logDrops(3)
    diskDrops()
    assert.deepStrictEqual(reproaches(), [])
  })

  it("lets no log drop what its node must know of", () => {
    for (const term of [4, 5]) {
      const { logDrops, reproaches } = setUp()
      logDrops(term)
      assert.deepStrictEqual(reproaches(), ["log"])
    }
  })

  it("lets no disk drop what the log of its run has not", () => {
    const untouched = setUp()
    untouched.diskDrops()
    assert.deepStrictEqual(untouched.reproaches(), ["disk"])
    const restarted = setUp()
    restarted.logDrops(3)
    restarted.restart()
    restarted.diskDrops()
    assert.deepStrictEqual(restarted.reproaches(), ["disk"])
  })
})
