import { defineConfig } from "vitest/config"

export default defineConfig({ test: { name: "transport-ssh", include: ["test/**/*.test.ts"] } })
