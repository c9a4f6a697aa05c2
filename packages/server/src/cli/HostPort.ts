/** Addresses as they are written on a command line. */

/** `host:port` in parts; an IPv6 host stands in brackets and is given without them. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Reads `host:port`, with a port of 0 to 65535; undefined for anything else. */
export const parseHostPort = (input: string): HostPort | undefined => {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(input)
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 65535 ? undefined : { host: (match[1] ?? match[2])!, port }
}

/** Writes `host:port`, with brackets around an IPv6 host. */
export const formatHostPort = ({ host, port }: HostPort): string => {
  const name = host.includes(":") ? `[${host}]` : host
  return `${name}:${port}`
}

/** Whether only this machine can reach a listener on `host`. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** Reads a node's HTTP address, with or without its scheme, and gives its origin; undefined for anything else. */
export const parseEndpoint = (input: string): string | undefined => {
  const url = URL.parse(/^https?:\/\//.test(input) ? input : `http://${input}`)
  if (url === null || url.protocol !== "http:" || url.hostname === "") return undefined
  return url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" ? url.origin : undefined
}
