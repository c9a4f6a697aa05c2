/** A service like one of yours: it sells numbered seats, each once, whatever happens to the nodes and their network. */
import { DistKv } from "@distkv/core"
import { Context, Effect, Layer, Schema } from "effect"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", {}) {}

export const seats = 400

export class TicketShop extends Context.Service<TicketShop, {
  /** Sells a seat and answers with its number. */
  readonly buy: (customer: string) => Effect.Effect<number, unknown>
  /** Who has which seat. */
  readonly sold: Effect.Effect<ReadonlyMap<number, string>, unknown>
}>()("example/TicketShop") {
  static readonly layer = Layer.effect(
    TicketShop,
    Effect.gen(function*() {
      const kv = yield* DistKv
      const sold = Effect.map(
        kv.list({ prefix: "seat/" }),
        ({ entries }) =>
          new Map(entries.map(({ key, value }) => [Number(key.slice("seat/".length)), Buffer.from(value).toString()]))
      )
      const buy = Effect.fnUntraced(function*(customer: string) {
        const taken = yield* sold
        for (let seat = 1; seat <= seats; seat++) {
          if (taken.has(seat)) continue
          // Two may find the same seat free; the guard lets one of them have it.
          const isMine = yield* kv.set(`seat/${seat}`, customer, { ifRevision: 0 }).pipe(
            Effect.as(true),
            Effect.catchTag("CompareFailed", () => Effect.succeed(false))
          )
          if (isMine) return seat
        }
        return yield* new SoldOut()
      })
      return TicketShop.of({ buy, sold })
    })
  )

  /** The same without a guard, to see that the test notices. */
  static readonly layerCareless = Layer.effect(
    TicketShop,
    Effect.gen(function*() {
      const kv = yield* DistKv
      const { sold } = Context.get(yield* Layer.build(TicketShop.layer), TicketShop)
      const buy = Effect.fnUntraced(function*(customer: string) {
        const taken = yield* sold
        for (let seat = 1; seat <= seats; seat++) {
          if (taken.has(seat)) continue
          yield* kv.set(`seat/${seat}`, customer)
          return seat
        }
        return yield* new SoldOut()
      })
      return TicketShop.of({ buy, sold })
    })
  )
}
