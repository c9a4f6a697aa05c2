/** `bench`: how much a running cluster takes. What it does is loaded only when it is asked for. */
import { Duration, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { misused } from "./ExitStatus.ts"
import { choice, count, duration, endpoints, fraction, Json, timeout } from "./Flags.ts"

/** Above this a range of keys cannot be deleted at once. */
const maxKeys = 10_000

/** The largest value that a cluster takes by default. */
const maxValueSize = 1024 * 1024

const maxClients = 10_000

export const benchCommand = Command.make("bench", {
  endpoints,
  timeout,
  clients: count(
    "clients",
    1,
    "Clients that call one after the other, each waiting for its reply; 64 unless told otherwise"
  ),
  duration: duration("duration", "How long to measure, 10s unless told otherwise").pipe(
    Flag.withDefault(Duration.seconds(10))
  ),
  warmUp: duration("warm-up", "How long to load it before, 2s unless told otherwise").pipe(
    Flag.withDefault(Duration.seconds(2))
  ),
  valueSize: count("value-size", 0, "Bytes of each value, 256 unless told otherwise"),
  readRatio: fraction("read-ratio", "The part of the calls that read, 0 to 1; 0 unless told otherwise"),
  keys: count("keys", 1, "How many keys, at most 10000, which is what it is unless told otherwise"),
  consistency: choice(
    "consistency",
    ["linearizable", "lease", "stale"],
    "How fresh the reads are, linearizable unless told otherwise"
  ).pipe(Flag.withDefault("linearizable"))
}, (flags) =>
  Effect.gen(function*() {
    const { clients = 64, keys = maxKeys, readRatio = 0, valueSize = 256 } = flags
    if (readRatio > 1) return yield* misused("--read-ratio is a part of the calls, from 0 to 1")
    if (keys > maxKeys) return yield* misused(`--keys is at most ${maxKeys}`)
    if (valueSize > maxValueSize) return yield* misused(`--value-size is at most ${maxValueSize}`)
    if (clients > maxClients) return yield* misused(`--clients is at most ${maxClients}`)
    if (Duration.toMillis(flags.duration) < 1) return yield* misused("--duration is at least 1ms")
    const { bench } = yield* Effect.promise(() => import("./bench/bench.ts"))
    yield* bench({ ...flags, clients, keys, readRatio, valueSize, json: yield* Json })
  })).pipe(
    Command.withDescription("Load a running cluster and show its throughput and latencies; it removes its keys again"),
    Command.withExamples([
      {
        command: "distkv bench --clients 64 --duration 30s --read-ratio 0.9",
        description: "Nine reads for each write, by 64 clients"
      }
    ])
  )
