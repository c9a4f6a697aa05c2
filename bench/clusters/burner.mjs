// Loaded before a node's program by the check of the check: each HTTP request costs the process so much more time.
import { Server } from "node:http"

const micros = Number(process.env["BENCH_BURN_MICROS"] ?? "0")
const emit = Server.prototype.emit

Server.prototype.emit = function(name, ...rest) {
  if (name === "request") {
    const until = performance.now() + micros / 1000
    while (performance.now() < until);
  }
  return emit.call(this, name, ...rest)
}
