/** Logging from callbacks, and what is counted. */

/** Logs a line; called from callbacks of sockets, so it is a plain function. */
export type Log = (level: "debug" | "info" | "warn" | "error", message: string) => void

/** What happened at the door and on the links since the transport was opened; plain numbers that only rise. */
export class SshCounters {
  /** Connections that arrived, refused ones included. */
  accepted = 0
  /** Connections turned away before a word: too many of them, or a source under a penalty. */
  turnedAway = 0
  /** Connections whose key exchange had to wait its turn. */
  delayedHandshakes = 0
  /** Connections that had not said who they are when their time was over. */
  graceEnded = 0
  /** Attempts to authenticate that were rejected. */
  failedAuthentications = 0
  /** Connections cut before they were authenticated: too many tries, too many bytes, no proper SSH. */
  cutStrangers = 0
  /** Requests for channels, shells, forwarding and the like that were refused. */
  refusedChannels = 0
  /** Connections of trusted keys that were refused or ended for what they said of themselves. */
  refusedPeers = 0
  /** Frames that were no frames or no messages; each ended its connection. */
  malformedFrames = 0
  /** Connections ended because the pair has a better one. */
  superseded = 0
  /** Peers given up because nothing was heard of them. */
  silentPeers = 0
  /** Connections cut because their key was trusted no longer. */
  revoked = 0
  /** Exchanges of session keys after the first, on connections that others dialled. */
  rekeyed = 0
  /** Attempts to reach a member. */
  dials = 0
}
