/**
 * What clients of a node's HTTP interface need, without the server: `DistKvClient`, which fails over between endpoints,
 * and the interface's definition, from which `HttpApiClient` derives a client of every call.
 */
export { DistKvApi } from "./http/Api.ts"
export * from "./http/client/DistKvClient.ts"
export { Unreachable } from "./http/client/Endpoints.ts"
export * from "./http/Wire.ts"
