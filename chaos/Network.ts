/** The network between the nodes of a run, and how it is broken. */
import type { Command } from "./Processes.ts"

export type NetworkKind = "namespaces" | "proxy"

export interface Network {
  readonly kind: NetworkKind
  /** What a node listens on and says about itself. */
  readonly raftFlags: (node: number) => ReadonlyArray<string>
  /** Where a node's SSH port is. */
  readonly raftAddress: (node: number) => string
  /** A place in the same network that belongs to no node, with addresses that are nobody's. */
  readonly outside: {
    readonly at: (command: Command) => Command
    readonly sources: ReadonlyArray<string>
  }
  /** The command that runs `command` at the node's place in the network. */
  readonly at: (node: number, command: Command) => Command
  /** Tells which process the node is, whenever it starts. */
  readonly started: (node: number, pid: number) => void
  /** From now on nothing that one sends reaches the other; connections stay open, and nobody is told. */
  readonly silence: (from: number, to: number) => void
  /** Ends what `silence` did, everywhere. */
  readonly heal: () => void
  /** Ends the connections between these two, and says how many; null where the network cannot. */
  readonly reset: ((one: number, other: number) => number) | null
}
