import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { NodeId } from "../../src/domain/Identity.ts"
import * as MemoryTransport from "../../src/MemoryTransport.ts"
import { type TransportHarness, transportLaws } from "../../src/testing/laws/TransportLaws.ts"
import {
  clusterA,
  connect,
  identityOf,
  joinOf,
  say,
  start,
  until,
  vote
} from "../../src/testing/laws/TransportStation.ts"
import { Transport } from "../../src/Transport.ts"

const onNetwork = Effect.fnUntraced(function*(
  network: Context.Context<MemoryTransport.MemoryNetwork>,
  options: MemoryTransport.MemoryTransportOptions = {}
) {
  const layer = Layer.provide(MemoryTransport.layer(options), Layer.succeedContext(network))
  return Context.get(yield* Layer.build(layer), Transport)
})

const harness: TransportHarness = {
  transports: Effect.fnUntraced(function*(count) {
    const network = yield* Layer.build(MemoryTransport.network)
    return yield* Effect.forEach(Array.from({ length: count }), () => onNetwork(network))
  })
}

describe("the transport in memory", () => {
  for (const { check, name } of transportLaws) it.live(name, () => check(harness))

  it.live("a cut link carries nothing until it is healed", () =>
    Effect.gen(function*() {
      const network = yield* Layer.build(MemoryTransport.network)
      const wires = Context.get(network, MemoryTransport.MemoryNetwork)
      const one = yield* start(yield* onNetwork(network), identityOf("n1", clusterA))
      const other = yield* start(yield* onNetwork(network), identityOf("n2", clusterA))
      yield* connect(one, other)
      one.open.send(other.id, vote(1))
      wires.cut(other.id, one.id)
      one.open.flush()
      assert.isFalse(say(one, other, vote(2)))
      assert.isFalse(say(other, one, vote(3)))
      assert.isFalse(one.open.links()[0]?.connected)
      assert.strictEqual((yield* Effect.flip(one.open.call(other.open.address, joinOf(one), 100)))._tag, "NoLeader")
      wires.heal(one.id, other.id)
      say(one, other, vote(4))
      yield* until("it arrived", () => other.heard.length > 0)
      assert.deepStrictEqual(other.heard.map(({ message }) => message), [vote(4)])
    }))

  it.live("a key that is not accepted reaches nothing, and the caller is told which one", () =>
    Effect.gen(function*() {
      const network = yield* Layer.build(MemoryTransport.network)
      const one = yield* start(
        yield* onNetwork(network, { accepts: (key) => key.includes("1") }),
        identityOf("n1", null)
      )
      const other = yield* start(yield* onNetwork(network), identityOf("n2", null))
      const error = yield* Effect.flip(other.open.call(one.open.address, joinOf(other), 100))
      assert.include(error.message, other.transport.publicKey)
      assert.deepStrictEqual(one.heard, [])
    }))

  it.live("an address is taken by one node at a time", () =>
    Effect.gen(function*() {
      const network = yield* Layer.build(MemoryTransport.network)
      const options = { address: "here:1" }
      const one = yield* start(yield* onNetwork(network, options), identityOf("n1", null))
      const error = yield* Effect.flip(start(yield* onNetwork(network, options), identityOf("n2", null)))
      assert.strictEqual(error._tag, "InvalidRequest")
      yield* one.close
      yield* start(yield* onNetwork(network, options), identityOf("n2", null))
    }))

  it.effect("a node alone has nobody to talk to, and works", () =>
    Effect.gen(function*() {
      const transport = Context.get(yield* Layer.build(MemoryTransport.layerAlone), Transport)
      const alone = yield* start(transport, identityOf("n1", clusterA))
      assert.isFalse(say(alone, "n2" as NodeId, vote(1)))
      assert.deepStrictEqual(alone.open.links(), [])
    }))
})
