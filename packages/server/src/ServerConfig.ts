/** What one node's process is told at its start. */
import type { SettingsInput } from "@distkv/core"
import type { Trust } from "@distkv/transport-ssh"
import type { Duration } from "effect"

/** Where to listen; a port of 0 is drawn. */
export interface Listen {
  readonly host: string
  readonly port: number
}

export interface ServerConfig {
  /** Holds keys, identity, log and state. */
  readonly dataDir: string
  /** Where peers connect, by SSH. */
  readonly raft: Listen
  /** Where clients connect, by HTTP; a loopback address, since there are no credentials. */
  readonly http: Listen
  /** Given at the first start, else drawn. */
  readonly nodeId: string | undefined
  /** Where peers reach this node as `host:port`, where that differs from where it listens. */
  readonly advertise: string | undefined
  /** Whether a directory without identity founds a cluster of this node alone. */
  readonly bootstrap: boolean
  readonly electionTimeout: Duration.Duration
  readonly heartbeat: Duration.Duration
  /** How much faster one member's clock may run than another's, as a part of 1; undefined: no lease reads. */
  readonly clockDrift: number | undefined
  /** Whose keys are accepted: those in the files of trusted keys, or those of committed members too. */
  readonly trust: Trust
  /** Free space, in bytes, below which the store refuses to grow. */
  readonly diskReserveBytes: number | undefined
  /** The file of the node's mark, on another volume than its data; undefined: in its directory. */
  readonly markFile: string | undefined
  /** Settings of the node that are none of the above, such as limits; where both say something, these count. */
  readonly settings?: SettingsInput | undefined
}
