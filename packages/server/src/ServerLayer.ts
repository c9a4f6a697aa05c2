/** One node as a server: the store over SSH and LMDB, and its HTTP interface. */
import { type DistKv, DistKvLayer, type SettingsInput, type StartError } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { encryption, SshTransport } from "@distkv/transport-ssh"
import { Effect, Layer } from "effect"
import { HttpListener } from "./http/HttpListener.ts"
import { HttpServer } from "./http/HttpServer.ts"
import type { ServerConfig } from "./ServerConfig.ts"

/** What the node itself is told; it is also told its HTTP address, which members tell each other. */
export const settingsOf = (config: ServerConfig, http: string): SettingsInput => ({
  nodeId: config.nodeId,
  start: config.bootstrap ? "bootstrap" : "await",
  // An advertised port of 0 stands for the drawn one, which the transport knows and tells the node.
  advertise: config.advertise?.endsWith(":0") === true ? undefined : config.advertise,
  http,
  electionTimeout: config.electionTimeout,
  heartbeat: config.heartbeat,
  clockDrift: config.clockDrift,
  ...config.settings
})

const nodeLayer = (config: ServerConfig, http: string): Layer.Layer<DistKv | SshTransport, StartError> =>
  DistKvLayer(settingsOf(config, http)).pipe(
    Layer.provideMerge(SshTransport.layer({
      dataDir: config.dataDir,
      host: config.raft.host,
      port: config.raft.port,
      advertise: config.advertise,
      electionTimeout: config.electionTimeout,
      heartbeat: config.heartbeat,
      trust: config.trust
    })),
    Layer.provide(LmdbStorage.layer({
      directory: config.dataDir,
      markFile: config.markFile,
      reserveBytes: config.diskReserveBytes
    }))
  )

/**
 * A node and its HTTP interface. The HTTP port is bound first, so that the node can say its address even where the port
 * was drawn. Released, it stops taking calls, finishes what is under way, hands leadership over, and closes its stores.
 */
export const layer = (config: ServerConfig): Layer.Layer<DistKv | HttpServer | SshTransport, StartError> =>
  HttpServer.layer({ encryption }).pipe(
    Layer.provideMerge(Layer.unwrap(Effect.map(HttpListener, ({ url }) => nodeLayer(config, url)))),
    Layer.provide(HttpListener.layer(config.http))
  )
