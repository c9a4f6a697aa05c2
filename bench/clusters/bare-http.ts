/** A server of node:http and nothing else: what the platform gives for a request of the same size. */
import { createServer } from "node:http"

const value = Buffer.alloc(256, "x")
const head = [
  "content-type",
  "application/octet-stream",
  "content-length",
  String(value.length),
  "x-content-type-options",
  "nosniff",
  "cache-control",
  "no-cache"
]
const written = `{"revision":"123456789","created":false}`
const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, head).end(value)
    return
  }
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    response.writeHead(200, ["content-type", "application/json", "content-length", String(written.length)]).end(written)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
process.once("disconnect", () => process.exit())
