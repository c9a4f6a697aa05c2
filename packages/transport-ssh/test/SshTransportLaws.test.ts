import { type TransportHarness, transportLaws } from "@distkv/core/testing"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeNodes } from "./support/nodes.ts"

const harness: TransportHarness = {
  transports: (count) =>
    makeNodes(count).pipe(
      Effect.map((nodes) => nodes.map((node) => node.transport))
    )
}

describe("the transport over SSH", () => {
  for (const { check, name } of transportLaws) {
    // scenario: M20
    // fails-with: listens-to-other-clusters
    it.live(name, () => check(harness), 30_000)
  }
})
