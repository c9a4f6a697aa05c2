/** Reaching another node: TCP, SSH with its host key checked, and the lanes opened. */
import { connect } from "node:net"
import ssh2, { type ClientErrorExtensions } from "ssh2"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"
import type { Purpose } from "./Hello.ts"
import { quicken } from "./PacketCipher.ts"
import { type ConnectionEvents, PeerConnection } from "./PeerConnection.ts"
import type { HostPort } from "./SshSettings.ts"
import { algorithms, bulkLane, controlSubsystem, raftLane, sshIdent, sshUser } from "./SshWire.ts"

export interface DialRequest {
  readonly target: HostPort
  readonly privateKey: string
  /** This node's public key with its comment, for saying what to put where. */
  readonly ownLine: string
  readonly purpose: Purpose
  /** Until the first packet is answered, in milliseconds; a lost one is sent again a second later by the system. */
  readonly connectTimeoutMs: number
  /** From there until the key is proved, in milliseconds. */
  readonly timeoutMs: number
  /** The trusted key that the other side shows, or why it is not one to talk to; asked at each exchange of keys. */
  readonly verify: (blob: Buffer) => AuthorizedKey | string
  readonly events: ConnectionEvents
  /** The connection is authenticated; its lanes are being opened. */
  readonly connected: (connection: PeerConnection) => void
  /** There will be no connection. */
  readonly failed: (reason: string) => void
}

/** What a refused handshake means, where ssh2's own words do not tell. */
const explain = (error: Error & ClientErrorExtensions, ownLine: string): string =>
  error.level === "client-authentication"
    ? `it does not accept this node's key; this line belongs into authorized.keys there: ${ownLine}`
    : error.message

const openLanes = (client: ssh2.Client, connection: PeerConnection, purpose: Purpose): void => {
  const opened = (name: "raft" | "control") => (error: Error | undefined, channel: ssh2.ClientChannel) => {
    if (error === undefined) connection.attach(name, channel)
    else connection.close(`its ${name} lane did not open: ${error.message}`)
  }
  try {
    if (purpose === "link") {
      client.forwardOut("raft", 0, raftLane.host, raftLane.port, opened("raft"))
      // A link does without where the other side is of a version that has no such lane.
      client.forwardOut("bulk", 0, bulkLane.host, bulkLane.port, (error, channel) => {
        if (error === undefined) connection.attach("bulk", channel)
      })
    }
    client.subsys(controlSubsystem, opened("control"))
  } catch (cause) {
    // ssh2 throws where the connection went away just before.
    connection.close(cause instanceof Error ? cause.message : String(cause))
  }
}

/** Dials once. Either `connected` or `failed` is called, later; the function returned gives up and says nothing. */
export const dial = (request: DialRequest): () => void => {
  const client = new ssh2.Client()
  const socket = connect({ host: request.target.host, port: request.target.port, noDelay: true })
  let done = false
  let key: AuthorizedKey | null = null
  let refusal: string | null = null
  let connection: PeerConnection | null = null
  const give = (then: () => void): void => {
    if (done) return
    done = true
    clearTimeout(timer)
    then()
  }
  const fail = (reason: string) =>
    give(() => {
      socket.destroy()
      request.failed(reason)
    })
  const failAfter = (ms: number) => setTimeout(() => fail(`it did not answer within ${ms} ms`), ms)
  let timer = failAfter(request.connectTimeoutMs)
  socket.once("connect", () => {
    clearTimeout(timer)
    if (!done) timer = failAfter(request.timeoutMs)
  })
  // These stay for the connection's whole life: ssh2 may report several errors, also late ones.
  socket.on("error", (error) => fail(error.message))
  client.on("error", (error) => {
    fail(refusal ?? explain(error, request.ownLine))
    connection?.destroy(refusal ?? error.message)
  })
  client.on("close", () => fail(refusal ?? "it closed the connection before the handshake was over"))
  client.on("handshake", () => quicken(client))
  client.on("ready", () =>
    give(() => {
      const end = { socket, end: () => void client.end(), rekey: null }
      if (key === null) return request.failed("its host key was never checked")
      connection = new PeerConnection(end, key, request.purpose, request.events)
      request.connected(connection)
      openLanes(client, connection, request.purpose)
    }))
  client.connect({
    sock: socket,
    username: sshUser,
    privateKey: request.privateKey,
    algorithms,
    ident: sshIdent,
    readyTimeout: 0,
    authHandler: ["publickey"],
    hostVerifier: (blob: Buffer): boolean => {
      const verdict = request.verify(blob)
      if (typeof verdict === "string") refusal = verdict
      else key = verdict
      return typeof verdict !== "string"
    }
  })
  return () =>
    give(() => {
      socket.destroy()
    })
}
