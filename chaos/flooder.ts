/**
 * A crowd of strangers at one door, in a process of its own: so many new connections a second, of which as many stay
 * as the other side lets and the crowd may have; none of them completes an exchange of keys.
 *
 *   node chaos/flooder.ts HOST PORT PER-SECOND HELD SOURCE…
 */
import { connect, type Socket } from "node:net"

const [host = "", port = "", perSecond = "", held = "", ...sources] = process.argv.slice(2)

/** How far each gets: silence, a name, and the beginning of an offer of algorithms that never ends. */
const openings = [
  null,
  Buffer.from("SSH-2.0-stranger\r\n"),
  Buffer.concat([Buffer.from("SSH-2.0-stranger\r\n"), Buffer.from([0, 0, 4, 0, 8, 20]), Buffer.alloc(200, 7)])
]

const open = new Set<Socket>()
const counts = { made: 0, refused: 0, longest: 0 }

const knock = (): void => {
  const number = counts.made++
  const socket = connect({ host, port: Number(port), localAddress: sources[number % sources.length] })
  open.add(socket)
  socket.on("connect", () => {
    const opening = openings[number % openings.length]
    if (opening !== null && opening !== undefined) socket.write(opening)
  })
  socket.on("error", () => undefined)
  socket.on("close", () => {
    if (open.delete(socket)) counts.refused++
  })
  socket.resume()
  counts.longest = Math.max(counts.longest, open.size)
  if (open.size <= Number(held)) return
  for (const oldest of open) {
    open.delete(oldest)
    oldest.destroy()
    break
  }
}

/** In steps that keep the rate however late a timer is. */
const began = performance.now()
setInterval(() => {
  const due = (performance.now() - began) / 1000 * Number(perSecond)
  while (counts.made < due) knock()
}, 10)
process.on("message", () => process.send?.(counts))
process.on("disconnect", () => process.exit())
