import { describe } from "@effect/vitest"
import { seedTests } from "./seeds.ts"

describe("random runs", () => {
  seedTests(101, 200)
})
