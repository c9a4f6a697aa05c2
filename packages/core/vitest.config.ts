import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    name: "core",
    include: ["test/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 20_000
  }
})
