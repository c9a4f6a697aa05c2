/** The door for tests: what proves an implementation of the ports, and a service over a cluster of its own. */
export * from "./laws/LogStoreLaws.ts"
export * from "./laws/StateStoreLaws.ts"
