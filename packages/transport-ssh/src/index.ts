/** The transport between nodes: SSH with public keys on both sides, and the keys it needs. */
export { encryption } from "./Encryption.ts"
export * as Keys from "./Keys.ts"
export { type SshStats, SshTransport, type SshTransportOptions, type Trust } from "./SshTransport.ts"
