import { defineConfig } from "vitest/config"

export default defineConfig({ test: { name: "storage-lmdb", include: ["test/**/*.test.ts"] } })
