/**
 * A cluster of three in one process: the same program as in production, with its wire and its disks in memory.
 *
 * What a service does with its store can be tested like this without a port, a key or a file.
 */
import { DistKv, DistKvLayer, MemoryLogStore, MemoryStateStore, MemoryTransport } from "@distkv/core"
import { Context, Duration, Effect, Layer } from "effect"

const addressOf = (id: string): string => `${id}.memory:1`

/** A node that founds the cluster, or joins the one that `founder` has founded. Each has disks of its own: `fresh`. */
const node = (id: string, founder: string) =>
  Layer.fresh(
    DistKvLayer({
      nodeId: id,
      start: id === founder ? "bootstrap" : { join: [addressOf(founder)] },
      electionTimeout: Duration.millis(150),
      heartbeat: Duration.millis(30)
    }).pipe(
      Layer.provide([MemoryTransport.layer({ address: addressOf(id) }), MemoryLogStore.layer, MemoryStateStore.layer])
    )
  )

/** Three nodes on one network, each as the service that it is to an app; they close with the scope. */
export const threeNodes = Effect.gen(function*() {
  const network = Layer.succeedContext(yield* Layer.build(MemoryTransport.network))
  return yield* Effect.forEach(
    ["n1", "n2", "n3"],
    (id) => Effect.map(Layer.build(Layer.provide(node(id, "n1"), network)), (context) => Context.get(context, DistKv))
  )
})
