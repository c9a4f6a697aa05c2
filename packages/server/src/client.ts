/** What clients of a node's HTTP interface need, without the server. */
export * from "./http/client/DistKvClient.ts"
export { Unreachable } from "./http/client/Endpoints.ts"
export * from "./http/Wire.ts"
