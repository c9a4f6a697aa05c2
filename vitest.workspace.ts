/**
 * The definition of the tests. Vitest 5 does not look for this file by itself: `vitest.config.ts` leads here, and the
 * commands name it with `--config vitest.workspace.ts`.
 *
 * Each file has a process of its own, two at a time (each project says so: it does not inherit it). The server's files
 * run one after the other, and after all the rest: they start real nodes, whose elections should not have to share the
 * machine with simulations.
 */
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: { projects: ["packages/*", "examples", "chaos"] }
})
