/** The transport between nodes: SSH with public keys on both sides. */
export * as Keys from "./Keys.ts"
