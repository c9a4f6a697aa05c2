/** Takes TCP connections and does nothing with them: what a crowd costs the machine without costing a node anything. */
import { createServer } from "node:net"

const server = createServer((socket) => {
  socket.on("error", () => undefined)
  socket.resume()
})
server.listen(Number(process.argv[3]), process.argv[2])
process.on("disconnect", () => process.exit())
