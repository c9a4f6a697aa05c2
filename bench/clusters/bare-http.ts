/**
 * A server of node:http and nothing else: what the platform gives for a request and an answer of the same bytes, the
 * header lines included, written in the way that costs Node least.
 */
import { createServer } from "node:http"

/** In one piece: what `repeat` returns is a tree of pieces, which each answer would walk. */
const value = Buffer.alloc(256, "x").toString("latin1")
/** As many lines, and as long, as what every reply of a node says of it. */
const node = [
  "Distkv-Term",
  "2",
  "Distkv-Served-By",
  "n1",
  "Distkv-Cluster",
  "0123456789abcdef0123456789abcdef",
  "Distkv-Leader",
  "n1",
  "Distkv-Revision",
  "123456789",
  "ETag",
  `"123456789"`
]
const head = [
  "Content-Type",
  "application/octet-stream",
  "X-Content-Type-Options",
  "nosniff",
  "Content-Security-Policy",
  "sandbox",
  "Cache-Control",
  "no-cache",
  ...node,
  "Vary",
  "Accept",
  "Distkv-Consistency",
  "stale",
  "Distkv-Create-Revision",
  "12345",
  "Distkv-Version",
  "1",
  "Content-Length",
  String(value.length)
]
const written = `{"revision":"123456789","created":false}`
const writtenHead = [
  "Content-Type",
  "application/json",
  "Cache-Control",
  "no-cache",
  ...node,
  "Content-Length",
  String(written.length)
]
const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, head).end(value, "latin1")
    return
  }
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    response.writeHead(200, writtenHead).end(written)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
process.once("disconnect", () => process.exit())
