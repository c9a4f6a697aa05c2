/**
 * Each node in a network namespace of its own, all of them on one bridge. The neighbour tables are fixed; a silent link
 * is one whose far end has an address that nobody has, so that what is sent there disappears without a word, as behind
 * a broken switch.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import type { Network } from "./Network.ts"
import { atEnd, named, system, systemIfPossible } from "./Resources.ts"

const ipOf = (node: number): string => `10.77.0.${node + 1}`
const hardwareOf = (node: number): string => `02:00:00:00:4b:${(node + 1).toString(16).padStart(2, "0")}`
const nowhere = "02:00:00:00:4b:ff"
const raftPort = 12_000

/** Whether this process may make namespaces here; tried, since it depends on more than the user. */
export const namespacesWork = (): boolean => {
  const name = named("try")
  if (systemIfPossible("ip", "netns", "add", name) === undefined) return false
  const works = systemIfPossible("ip", "-n", name, "link", "add", "probe", "type", "bridge") !== undefined &&
    systemIfPossible("ip", "-n", name, "link", "add", "end0", "type", "veth", "peer", "name", "end1") !== undefined
  systemIfPossible("ip", "netns", "delete", name)
  return works
}

const makeNamespace = (name: string): void => {
  system("ip", "netns", "add", name)
  atEnd(() => system("ip", "netns", "delete", name))
  system("ip", "-n", name, "link", "set", "lo", "up")
}

/** Ends the connections of a namespace with an address, as a router that forgot them does; says how many. */
const endConnections = (namespace: string, address: string): number => {
  const ended = systemIfPossible("ip", "netns", "exec", namespace, "ss", "--kill", "-H", "-tn", "dst", address) ?? ""
  return ended.split("\n").filter((line) => line !== "").length
}

/** Holds a connection with itself for a while. */
const holder = `const { connect, createServer } = require("node:net")
const server = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1", () => {
  connect(server.address().port, "127.0.0.1").on("connect", () => console.log("connected")).on("error", () => {})
})
process.stdin.on("end", () => process.exit()).resume()`

/** Whether this kernel ends connections when it is asked to; tried: one that does not says nothing. */
const endingWorks = async (namespace: string): Promise<boolean> => {
  const child = spawn("ip", ["netns", "exec", namespace, process.execPath, "-e", holder], {
    stdio: ["pipe", "pipe", "ignore"]
  })
  try {
    await once(child.stdout, "data")
    return endConnections(namespace, "127.0.0.1") > 0
  } finally {
    child.stdin.end()
  }
}

export const makeNamespaces = async (nodes: number): Promise<Network> => {
  const hub = named("hub")
  const nameOf = (node: number): string => named(`n${node + 1}`)
  makeNamespace(hub)
  system("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
  system("ip", "-n", hub, "link", "set", "br0", "up")
  const sources = Array.from({ length: 20 }, (_, i) => `10.77.0.${200 + i}`)
  for (const source of sources) system("ip", "-n", hub, "address", "add", `${source}/24`, "dev", "br0")
  const all = Array.from({ length: nodes }, (_, node) => node)
  for (const node of all) {
    const name = nameOf(node)
    makeNamespace(name)
    system("ip", "-n", hub, "link", "add", `p${node}`, "type", "veth", "peer", "name", "eth0", "netns", name)
    system("ip", "-n", hub, "link", "set", `p${node}`, "master", "br0", "up")
    system("ip", "-n", name, "link", "set", "eth0", "address", hardwareOf(node))
    system("ip", "-n", name, "address", "add", `${ipOf(node)}/24`, "dev", "eth0")
    system("ip", "-n", name, "link", "set", "eth0", "up")
  }
  const route = (from: number, to: number, hardware: string): void => {
    const entry = [ipOf(to), "lladdr", hardware, "dev", "eth0", "nud", "permanent"]
    system("ip", "-n", nameOf(from), "neighbour", "replace", ...entry)
  }
  for (const from of all) for (const to of all) if (from !== to) route(from, to, hardwareOf(to))
  const ends = await endingWorks(nameOf(0))
  const silent = new Map<string, () => void>()
  return {
    kind: "namespaces",
    raftFlags: (node) => ["--raft", `${ipOf(node)}:${raftPort}`],
    raftAddress: (node) => `${ipOf(node)}:${raftPort}`,
    outside: { at: (command) => ["ip", "netns", "exec", hub, ...command], sources },
    at: (node, command) => ["ip", "netns", "exec", nameOf(node), ...command],
    started: () => undefined,
    silence: (from, to) => {
      route(from, to, nowhere)
      silent.set(`${from}-${to}`, () => route(from, to, hardwareOf(to)))
    },
    heal: () => {
      for (const restore of silent.values()) restore()
      silent.clear()
    },
    reset: ends ? (one, other) => endConnections(nameOf(one), ipOf(other)) : null
  }
}
