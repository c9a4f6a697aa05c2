import { type Property, simulate, SimulationFailed } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TicketShop } from "./TicketShop.ts"

/** No seat is promised twice, and who was promised one has it. */
const oneCustomerPerSeat = (): Property<TicketShop["Service"]> => {
  const promised = new Map<number, string>()
  let customers = 0
  return {
    client: Effect.fnUntraced(function*(shop: TicketShop["Service"], client: string) {
      const customer = `${client} #${++customers}`
      const seat = yield* shop.buy(customer)
      assert.isFalse(promised.has(seat), `seat ${seat} was promised to ${promised.get(seat)} and to ${customer}`)
      promised.set(seat, customer)
    }),
    verify: (shop) =>
      Effect.map(shop.sold, (sold) => {
        assert.isAbove(promised.size, 0, "nothing was sold")
        for (const [seat, customer] of promised) assert.strictEqual(sold.get(seat), customer)
      })
  }
}

describe("TicketShop", () => {
  it("sells each seat once through partitions, pauses and crashes", () => {
    assert.doesNotThrow(() =>
      simulate({ seeds: 20, faultMs: 3000, tag: TicketShop, service: TicketShop.layer, property: oneCustomerPerSeat })
    )
  })

  it("without its guard it does not, and the simulation says with which seed", () => {
    const careless = () =>
      simulate({ seeds: 20, tag: TicketShop, service: TicketShop.layerCareless, property: oneCustomerPerSeat })
    assert.throws(careless, SimulationFailed, /promised to .* and to [^]*replay: simulate\(\{ only: \d+/)
  })
})
