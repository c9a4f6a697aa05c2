/** `start` and `demo`: the commands that run nodes. What they do is loaded only when it is asked for. */
import { Config, Duration, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type CommandFailed, misused } from "./ExitStatus.ts"
import {
  choice,
  count,
  dataDir,
  duration,
  environmentName,
  fraction,
  Json,
  optionalText,
  orUndefined,
  repeated,
  text,
  toggle
} from "./Flags.ts"
import { isLoopback, parseHostPort } from "./HostPort.ts"

/** A flag with `host:port` as its value. */
const hostPort = (name: string, description: string) =>
  text(name, description).pipe(
    Flag.filterMap(
      (input) => Option.fromUndefinedOr(parseHostPort(input)),
      () => "host:port"
    ),
    Flag.withMetavar("host:port")
  )

const logLevel = Flag.ChoiceWithValue("log-level", [
  ["debug", "Debug"],
  ["info", "Info"],
  ["warn", "Warn"],
  ["error", "Error"],
  ["none", "None"]
]).pipe(
  Flag.withDescription(
    `The least severity that is logged, info unless told otherwise [env: ${environmentName("log-level")}]`
  ),
  Flag.withFallbackConfig(
    Config.schema(Schema.Literals(["debug", "info", "warn", "error", "none"]), environmentName("log-level")).pipe(
      Config.map((word) =>
        ({ debug: "Debug", info: "Info", warn: "Warn", error: "Error", none: "None" } as const)[word]
      )
    )
  ),
  Flag.withDefault("Info")
)

const logFormat = choice("log-format", ["text", "json"], "How log lines are written, text unless told otherwise").pipe(
  Flag.withDefault("text")
)

const startFlags = {
  dataDir,
  raft: hostPort("raft", "Where peers connect by SSH, 127.0.0.1:12000 unless told otherwise").pipe(
    Flag.withDefault({ host: "127.0.0.1", port: 12000 })
  ),
  http: hostPort("http", "Where clients connect by HTTP, 127.0.0.1:11000 unless told otherwise").pipe(
    Flag.withDefault({ host: "127.0.0.1", port: 11000 })
  ),
  nodeId: optionalText("node-id", "This node's name, for its first start; drawn where it is not given"),
  advertise: orUndefined(hostPort("advertise", "Where peers reach this node, where that is not where it listens")),
  bootstrap: toggle("bootstrap", "Found a new cluster of this node alone, in a directory without identity"),
  join: repeated("join", "Ask the member at host:port to admit this node, until it does").pipe(orUndefined),
  electionTimeout: duration(
    "election-timeout",
    "Without a leader for this long a node campaigns, 1s unless told otherwise"
  ).pipe(
    Flag.withDefault(Duration.seconds(1))
  ),
  heartbeat: duration("heartbeat", "How often a leader shows itself, 100ms unless told otherwise").pipe(
    Flag.withDefault(Duration.millis(100))
  ),
  clockDrift: fraction(
    "clock-drift",
    "How much faster one member's clock may run than another's, as a part of 1 (0.01), the same on all members: " +
      "with it reads may use the leader's lease"
  ),
  trust: choice(
    "trust",
    ["file", "members"],
    "Whose keys are accepted: those in authorized.keys, or those of the cluster's members too"
  ).pipe(Flag.withDefault("file")),
  diskReserve: count(
    "disk-reserve",
    0,
    "Free bytes on the disk below which the store refuses to grow, 256 MiB unless told otherwise"
  ),
  markFile: optionalText(
    "mark-file",
    "Where this node's mark is kept: on another volume than its data it also notices a directory that was put back whole"
  ),
  readyFile: optionalText("ready-file", "Write the addresses as JSON to this file once the listeners are up"),
  logLevel,
  logFormat
}

/** What flags say only together, or in more than one value. */
const checkFlags = Effect.fnUntraced(function*(
  flags: Command.Command.Config.Infer<typeof startFlags>
): Effect.fn.Return<void, CommandFailed> {
  if (flags.bootstrap && flags.join !== undefined) return yield* misused("--bootstrap and --join exclude each other")
  const wrong = flags.join?.find((address) => parseHostPort(address) === undefined)
  if (wrong !== undefined) return yield* misused(`--join must be host:port, not ${JSON.stringify(wrong)}`)
  if (!isLoopback(flags.http.host)) {
    return yield* misused(`--http must be a loopback address, not ${flags.http.host}: there are no credentials yet`)
  }
  if (["0.0.0.0", "::"].includes(flags.raft.host) && flags.advertise === undefined) {
    return yield* misused("--raft on every interface needs --advertise HOST:PORT, where other nodes reach this one")
  }
  if (Duration.toMillis(flags.electionTimeout) < 3 * Duration.toMillis(flags.heartbeat)) {
    return yield* misused("--election-timeout must be at least three heartbeats")
  }
})

export const startCommand = Command.make("start", startFlags, (flags) =>
  Effect.gen(function*() {
    yield* checkFlags(flags)
    const { start } = yield* Effect.promise(() => import("./start.ts"))
    yield* start({ ...flags, json: yield* Json })
  })).pipe(
    Command.withDescription("Run a node until it is told to stop"),
    Command.withExamples([
      { command: "distkv start --data-dir n1 --bootstrap", description: "Found a cluster" },
      {
        command: "distkv start --data-dir n2 --raft 127.0.0.1:12001 --http 127.0.0.1:11001 --join 127.0.0.1:12000",
        description: "Join it"
      }
    ])
  )

/** What `start` is called with. */
export type StartFlags = Command.Command.Config.Infer<typeof startFlags> & { readonly json: boolean }

const demoFlags = {
  nodes: count("nodes", 1, "How many nodes, 3 unless told otherwise"),
  dir: text("dir", "Where the demo keeps its data, ./demo unless told otherwise").pipe(Flag.withDefault("./demo")),
  http: orUndefined(
    hostPort("http", "The first node's HTTP address, 127.0.0.1:11000 unless told otherwise; the others count up")
  )
}

export const demoCommand = Command.make("demo", demoFlags, (flags) =>
  Effect.gen(function*() {
    const { demo } = yield* Effect.promise(() => import("./demo.ts"))
    yield* demo({ ...flags, json: yield* Json })
  })).pipe(Command.withDescription("Run a whole cluster on this machine: a process for each node, real SSH, data kept"))

/** What `demo` is called with. */
export type DemoFlags = Command.Command.Config.Infer<typeof demoFlags> & { readonly json: boolean }
