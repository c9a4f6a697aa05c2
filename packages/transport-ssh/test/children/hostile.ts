/**
 * A member's key in wrong hands: sends altered frames to one real node over SSH, until so many are sent, and tells what
 * became of them by a message to its parent.
 *
 *   node hostile.ts '{"host": …, "port": …, "directory": the member's, "frames": …, "seed": …}'
 *
 * What a member says in well-formed messages is believed, so those are said in terms that are over. Each connection
 * carries many such, altered but understood, and at its end one that is not: as they come one after another, its end
 * shows that all before it were read.
 */
import {
  type ClusterId,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  laneOf,
  type NodeId,
  type PeerIdentity,
  type PeerMessage,
  type Term
} from "@distkv/core"
import { TransportStation } from "@distkv/core/testing"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import ssh2, { type ClientChannel } from "ssh2"
import { parseAuthorizedKeys } from "../../src/AuthorizedKeys.ts"
import { encodeHello, type Hello } from "../../src/Hello.ts"
import { algorithms, controlSubsystem, frameKind, raftLane, sshUser } from "../../src/SshWire.ts"
import { altered, connectNowhere } from "../support/hostile.ts"
import { draws, frame, helloOf, keyFrom } from "../support/raw.ts"

const perConnection = 60
/** The cluster is beyond this term. */
const overTerm = 3
const endsWithinMs = 10_000
/** A visit that takes longer in all has failed. */
const visitMs = 20_000
/** So many in a row, and there is no node any more. */
const failuresInARow = 20

interface Task {
  readonly host: string
  readonly port: number
  readonly directory: string
  readonly frames: number
  readonly seed: number
}

const task: Task = JSON.parse(process.argv[2] ?? "{}")
const { clusterId, incarnation, nodeId }: {
  nodeId: NodeId
  incarnation: Incarnation
  clusterId: ClusterId
} = JSON.parse(readFileSync(join(task.directory, "identity.json"), "utf8"))
const key = keyFrom(readFileSync(join(task.directory, "id_ed25519"), "utf8"))
const { keys: [authorized] } = parseAuthorizedKeys(key.publicKey)
if (authorized === undefined) throw new Error("the member's key cannot be read")
const self: PeerIdentity = { nodeId, incarnation, clusterId, publicKey: key.publicKey }

const draw = draws(task.seed)
const { append, samples, vote } = TransportStation
const over = [...samples("n1" as NodeId), vote(3), append(40)].filter((message) => "term" in message)
  .flatMap((message) => [1, overTerm].map((term) => ({ ...message, term: term as Term })))
const valid = over.map((message) => frame(frameKind.message, encodeMessage(message)))

/** Whether a node may believe it and be none the wiser. */
const isHarmless = (message: PeerMessage): boolean =>
  "term" in message && message._tag !== "Refused" && message.term <= overTerm

type Lane = "raft" | "control"

/** Whether a node reads a message of it, altered or not, that has no consequences. */
const isUnderstood = (bytes: Buffer): boolean => {
  if (bytes.length < 5 || bytes.readUInt32BE(0) !== bytes.length - 4 || bytes[4] !== frameKind.message) return false
  try {
    const message = decodeMessage(bytes.subarray(5))
    return isHarmless(message) && laneOf(message) === "raft"
  } catch {
    return false
  }
}

/** Whether a node ends the connection for it, and hears nothing before that could matter. */
const isFlawed = (bytes: Buffer, lane: Lane): boolean => {
  const heard: Array<PeerMessage> = []
  const { connection, lanes } = connectNowhere(authorized, self, { _tag: "member" }, (message) => {
    heard.push(message)
  })
  lanes[lane].emit("data", Buffer.from(bytes))
  const { closed } = connection
  connection.destroy("over")
  return closed && heard.every(isHarmless)
}

/** Identities that are not the member's own; a node refuses them when they say who they are. */
const lies: ReadonlyArray<Partial<Hello>> = [
  { nodeId: "n2" as NodeId },
  { incarnation: "f".repeat(32) as Incarnation },
  { clusterId: "f".repeat(32) as ClusterId },
  { nodeId: "x" as NodeId, clusterId: null }
]

const counts = { frames: 0, connections: 0, ended: 0, refused: 0, failed: 0, stayed: 0 }

const openLane = (client: ssh2.Client, lane: Lane): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: ClientChannel): void => {
      if (error === undefined) resolve(channel.on("error", () => undefined).resume())
      else reject(error)
    }
    if (lane === "raft") client.forwardOut("raft", 0, raftLane.host, raftLane.port, done)
    else client.subsys(controlSubsystem, done)
  })

/** Enters, says who it is and whatever `say` does, and resolves to whether the node ended the connection. */
const visit = async (hello: Hello, say: (lanes: Record<Lane, ClientChannel>) => void): Promise<boolean> => {
  const socket = connect({ host: task.host, port: task.port, noDelay: true })
  const client = new ssh2.Client()
  const closed = new Promise<boolean>((resolve) => client.on("close", () => resolve(true)))
  const ready = new Promise<boolean>((resolve) => client.on("ready", () => resolve(true)))
  client.on("error", () => undefined)
  socket.on("error", () => undefined)
  client.connect({
    sock: socket,
    username: sshUser,
    algorithms,
    readyTimeout: 0,
    hostVerifier: () => true,
    privateKey: key.pem,
    authHandler: ["publickey"]
  })
  const limit = setTimeout(() => socket.destroy(), visitMs)
  try {
    const isIn = await Promise.race([ready, closed.then(() => false)])
    if (!isIn) throw new Error("the node did not let the member in")
    const gone = closed.then((): never => {
      throw new Error("the node closed the connection before anything was said")
    })
    gone.catch(() => undefined)
    const raft = await Promise.race([openLane(client, "raft"), gone])
    const control = await Promise.race([openLane(client, "control"), gone])
    for (const lane of [raft, control]) lane.write(frame(frameKind.hello, encodeHello(hello)))
    say({ raft, control })
    return await Promise.race([closed, sleep(endsWithinMs, false, { ref: false })])
  } finally {
    clearTimeout(limit)
    client.destroy()
    socket.destroy()
  }
}

/** Many frames that are understood and one that is not. */
const assault = async (): Promise<void> => {
  const before: Array<Buffer> = []
  let last: readonly [lane: Lane, bytes: Buffer] | undefined
  while (before.length < perConnection || last === undefined) {
    const bytes = altered(draw, valid)
    const lane = draw(4) === 0 ? "control" : "raft"
    if (isUnderstood(bytes)) {
      if (before.length < perConnection) before.push(bytes)
    } else if (last === undefined && isFlawed(bytes, lane)) last = [lane, bytes]
  }
  const [lane, bytes] = last
  const isEnded = await visit(helloOf(nodeId, { clusterId, incarnation }), (lanes) => {
    for (const one of before) lanes.raft.write(one)
    lanes[lane].write(bytes)
  })
  counts.frames += before.length + 1
  if (isEnded) counts.ended++
  else counts.stayed++
}

const lie = async (): Promise<void> => {
  const hello = helloOf(nodeId, { clusterId, incarnation, ...lies[draw(lies.length)] })
  const isEnded = await visit(hello, ({ raft }) => {
    for (let i = 0; i < perConnection; i++) raft.write(altered(draw, valid))
  })
  if (isEnded) counts.refused++
  else counts.stayed++
}

process.on("disconnect", () => process.exit())
let inARow = 0
while (counts.frames < task.frames) {
  counts.connections++
  try {
    await (draw(25) === 0 ? lie() : assault())
    inARow = 0
  } catch (error) {
    // One may fail now and then; the parent looks at how many did.
    counts.failed++
    if (++inARow > failuresInARow) throw error
    await sleep(100)
  }
  if (counts.connections % 50 === 0) process.send?.(counts)
}
process.send?.({ ...counts, over: true })
process.disconnect()
