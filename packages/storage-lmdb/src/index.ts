/** The only door for other packages: `LmdbStorage.layer({ directory: "./raft" })`. */
export * as LmdbStorage from "./LmdbStorage.ts"
