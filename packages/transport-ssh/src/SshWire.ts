/** What both ends of a connection agree on beforehand: names, algorithms, sizes. */
import { maxMessageBytes } from "@distkv/core"
import type { Algorithms } from "ssh2"

/** The one user that a node lets in; who it is says the key. */
export const sshUser = "raft"

/** What the program calls itself in SSH's first line. */
export const sshIdent = "distkv"

/** Raft traffic goes through a direct-tcpip channel to this reserved name; no node opens TCP to anywhere for it. */
export const raftLane = { host: "raft", port: 1 } as const

/** The reserved name of the lane for bulk data; an older program refuses it, and then there is none. */
export const bulkLane = { host: "bulk", port: 1 } as const

/** Control requests go through this subsystem, which `ssh -s` reaches too. */
export const controlSubsystem = "distkv-control"

/**
 * The only algorithms that are offered. GCM makes the Terrapin attack inapplicable and needs no MAC; its packet counter
 * does not wrap within a session. RSA keys sign with SHA-2. The MACs are never used, but a list must be there.
 */
export const algorithms: Algorithms = {
  kex: ["curve25519-sha256", "curve25519-sha256@libssh.org"],
  serverHostKey: ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"],
  cipher: ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"],
  compress: ["none"]
}

/** The first byte of each frame, after its length. Numbers are never used again for anything else. */
export const frameKind = { hello: 1, message: 2, ping: 3 } as const

/** The largest frame, its kind byte included; a length beyond it ends the connection before anything is buffered. */
export const maxFrameBytes = maxMessageBytes + 1

/** The largest frame before the first hello has been accepted. */
export const maxHelloBytes = 1024

/** The lanes that carry something. */
export type LaneName = "raft" | "control" | "bulk"
