// Loaded before a node's program by the check of the check: each HTTP request costs the process so much more time.
import { subscribe } from "node:diagnostics_channel"

const micros = Number(process.env["BENCH_BURN_MICROS"] ?? "0")

subscribe("http.server.request.start", () => {
  const until = performance.now() + micros / 1000
  while (performance.now() < until);
})
