/**
 * A proxy in front of each node's SSH port, for machines on which namespaces cannot be made, and for what they cannot
 * do: ending connections. It finds out which node dialled by looking up which process holds the far end's socket.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import type { Network } from "./Network.ts"
import { atEnd } from "./Resources.ts"

interface Pipe {
  readonly dialler: number
  readonly target: number
  readonly near: Socket
  readonly far: Socket
}

/** The inode of the socket that is connected from one loopback port to another. */
const inodeOf = (fromPort: number, toPort: number): string | undefined => {
  const portOf = (address = ""): number => Number.parseInt(address.split(":")[1] ?? "", 16)
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/)
    if (portOf(fields[1]) === fromPort && portOf(fields[2]) === toPort) return fields[9]
  }
  return undefined
}

const holds = (pid: number, inode: string): boolean => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`
      } catch {
        return false // closed meanwhile
      }
    })
  } catch {
    return false // ended meanwhile
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

export const makeProxies = async (nodes: number): Promise<Network> => {
  const pids = new Map<number, number>()
  const ports: Array<number> = []
  for (let node = 0; node < nodes; node++) ports.push(await freePort())
  const silent = new Set<string>()
  const pipes = new Set<Pipe>()

  const dialledBy = (socket: Socket): number | undefined => {
    const inode = inodeOf(socket.remotePort ?? 0, socket.localPort ?? 0)
    if (inode === undefined) return undefined
    for (const [node, pid] of pids) if (holds(pid, inode)) return node
    return undefined
  }

  /** Lets through, or holds back, what waits in either direction. */
  const regulate = ({ dialler, far, near, target }: Pipe): void => {
    const direct = (from: Socket, isSilent: boolean): void => void (isSilent ? from.pause() : from.resume())
    direct(near, silent.has(`${dialler}-${target}`))
    direct(far, silent.has(`${target}-${dialler}`))
  }

  const join = (near: Socket, target: number): void => {
    near.on("error", () => undefined)
    const dialler = dialledBy(near)
    const port = ports[target]
    if (dialler === undefined || port === undefined) return void near.destroy()
    const far = connect({ host: "127.0.0.1", port, noDelay: true })
    const pipe = { dialler, target, near, far }
    pipes.add(pipe)
    const pass = (from: Socket, to: Socket): void => {
      from.on("data", (chunk) => {
        if (to.write(chunk)) return
        from.pause()
        to.once("drain", () => regulate(pipe))
      })
      from.on("error", () => undefined)
      from.once("close", () => {
        pipes.delete(pipe)
        // Who is cut off does not hear that the other has closed either.
        if (!silent.has(`${dialler}-${target}`) && !silent.has(`${target}-${dialler}`)) to.destroy()
      })
      from.once("end", () => to.end())
    }
    pass(near, far)
    pass(far, near)
    regulate(pipe)
  }

  const servers = await Promise.all(Array.from({ length: nodes }, (_, node) => {
    const server = createServer({ noDelay: true }, (near) => join(near, node))
    atEnd(() => server.close())
    return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))
  }))
  const portOf = (node: number): number => {
    const address = servers[node]?.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
  return {
    kind: "proxy",
    raftFlags: (node) => ["--raft", `127.0.0.1:${ports[node]}`, "--advertise", `127.0.0.1:${portOf(node)}`],
    raftAddress: (node) => `127.0.0.1:${ports[node]}`,
    outside: { at: (command) => command, sources: Array.from({ length: 20 }, (_, i) => `127.0.0.${200 + i}`) },
    at: (_node, command) => command,
    started: (node, pid) => void pids.set(node, pid),
    silence: (from, to) => {
      silent.add(`${from}-${to}`)
      pipes.forEach(regulate)
    },
    heal: () => {
      silent.clear()
      for (const pipe of pipes) {
        // What one end closed while it was cut off, the other hears of now.
        if (pipe.near.destroyed || pipe.far.destroyed) {
          pipe.near.destroy()
          pipe.far.destroy()
        } else regulate(pipe)
      }
    },
    reset: (one, other) => {
      let ended = 0
      for (const { dialler, far, near, target } of pipes) {
        if ((dialler !== one || target !== other) && (dialler !== other || target !== one)) continue
        near.destroy()
        far.destroy()
        ended++
      }
      return ended
    }
  }
}
