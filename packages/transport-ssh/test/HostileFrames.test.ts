/**
 * What an authenticated peer may send without speaking the protocol (A10): random and altered frames end its
 * connection and nothing else. Behind the connection stands a node of a simulated cluster; whatever gets through from
 * somebody who is no member, or says that it is another, must leave that node as it was. (Two doors keep it out,
 * `judgePeer` and `mayListen`; with both open the node hears of the liar's terms and logs.)
 *
 * `DISTKV_HOSTILE_FRAMES` says how many; `npm run chaos -- frames` plays a million. Real nodes get such frames over SSH
 * by `npm run chaos -- hostile`.
 */
import {
  type ClusterId,
  DistKv,
  encodeMessage,
  envelopeOf,
  type Incarnation,
  type NodeId,
  type PeerIdentity,
  type Term
} from "@distkv/core"
import { SimCluster, TransportStation } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { setImmediate } from "node:timers/promises"
import { parseAuthorizedKeys } from "../src/AuthorizedKeys.ts"
import { frameKind } from "../src/SshWire.ts"
import { altered, connectNowhere } from "./support/hostile.ts"
import { draws, frame, makeKey } from "./support/raw.ts"

const { append, samples, vote } = TransportStation
const frames = Number(process.env["DISTKV_HOSTILE_FRAMES"] ?? 30_000)
const { keys: [key] } = parseAuthorizedKeys(makeKey().publicKey)
if (key === undefined) throw new Error("a fresh key is acceptable")

const foreign = "f".repeat(32)

/** A cluster, and how a node of it looks from outside. */
const makeTarget = () => {
  const cluster = SimCluster.make({ nodes: 3, seed: 5 })
  cluster.start()
  cluster.run(1000)
  const status = () => cluster.call("n1", Effect.flatMap(DistKv, (kv) => kv.status))
  const looks = () => {
    const { clusterId, commit, leader, members, revision, role, term } = status()
    return {
      clusterId,
      commit,
      leader,
      members: members.map(({ id, publicKey }) => [id, publicKey]),
      revision,
      role,
      term
    }
  }
  const { clusterId, members } = status()
  const other = members.find(({ id }) => id === "n2")
  if (clusterId === null || other === undefined) throw new Error("a cluster of three was started")
  return { cluster, looks, clusterId, other }
}

describe("an authenticated peer that does not speak the protocol", () => {
  // scenario: A10
  it(`ends its connection with each of ${frames} frames that say nothing, and changes no node`, async () => {
    const draw = draws(11)
    const { cluster, clusterId, looks, other } = makeTarget()
    const whole = [...samples("n1" as NodeId), vote(3), append(40)]
    // In a term to come they would matter to whoever believed them.
    const potent = whole.map((message) => "term" in message ? { ...message, term: 1000 as Term } : message)
    const valid = [...whole, ...potent].map((message) => frame(frameKind.message, encodeMessage(message)))
    // Each has a key that is trusted; none of them is the member that it seems to be.
    const liars: ReadonlyArray<PeerIdentity> = [
      { nodeId: "n2" as NodeId, incarnation: other.incarnation as Incarnation, clusterId, publicKey: key.publicKey },
      {
        nodeId: "n2" as NodeId,
        incarnation: foreign as Incarnation,
        clusterId,
        publicKey: other.publicKey
      },
      {
        nodeId: "n2" as NodeId,
        incarnation: other.incarnation as Incarnation,
        clusterId: foreign as ClusterId,
        publicKey: other.publicKey
      },
      { nodeId: "x" as NodeId, incarnation: foreign as Incarnation, clusterId: null, publicKey: key.publicKey }
    ]
    const before = looks()
    let ended = 0
    let heard = 0
    for (let run = 0; run < frames; run++) {
      const liar = liars[run % liars.length]!
      const { connection, lanes, seen } = connectNowhere(key, liar, { _tag: "member" }, (message) => {
        heard++
        // What one side understands, the other says in the same way.
        encodeMessage(message)
        cluster.network.inject("n1", envelopeOf(liar, message))
      })
      lanes[draw(2) === 0 ? "raft" : "control"].emit("data", altered(draw, valid))
      assert.strictEqual(seen.closed, connection.closed ? 1 : 0)
      assert.isAtMost(seen.malformed, 1)
      if (connection.closed) ended++
      connection.destroy("over")
      // What streams and timers still hold is let go only between turns of the event loop.
      if (run % 500 === 499) await setImmediate()
      if (run % 5000 === 4999) {
        cluster.run(20)
        assert.deepStrictEqual(looks(), before, `after ${run + 1} frames`)
      }
    }
    cluster.run(1000)
    assert.deepStrictEqual(looks(), before)
    assert.isAtLeast(ended, frames / 3, "most of them say nothing")
    assert.isAtLeast(heard, frames / 20, "some of them are whole, and are refused for who says them")
  }, 60_000 + frames)
})
