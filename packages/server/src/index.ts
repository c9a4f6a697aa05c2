/** The server as a library: a node with its HTTP interface as one Layer. Clients import `@distkv/server/client`. */
export { HttpServer } from "./http/HttpServer.ts"
export type { Listen, ServerConfig } from "./ServerConfig.ts"
export * as ServerLayer from "./ServerLayer.ts"
