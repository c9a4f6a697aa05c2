/** Flags that more than one command has. Every flag can also be given by the environment variable that `env` names. */
import { Config, Duration, Option, Schema } from "effect"
import { Flag, GlobalFlag } from "effect/cli"
import { parseEndpoint } from "./HostPort.ts"

/** The environment variable of a flag: `--data-dir` is `DISTKV_DATA_DIR`. */
export const environmentName = (flag: string): string => `DISTKV_${flag.toUpperCase().replaceAll("-", "_")}`

/** A flag with text as its value. */
export const text = (name: string, description: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.withDescription(`${description} [env: ${environmentName(name)}]`),
    Flag.withFallbackConfig(Config.NonEmptyString(environmentName(name)))
  )

/** A flag with text as its value, undefined where it is not given. */
export const optionalText = (name: string, description: string): Flag.Flag<string | undefined> =>
  orUndefined(text(name, description))

/** A flag that is on or off, off where it is not given. */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withDescription(`${description} [env: ${environmentName(name)}]`),
    Flag.withoutNegation,
    Flag.withFallbackConfig(Config.Boolean(environmentName(name))),
    Flag.withDefault(false)
  )

/** A flag with a whole number of at least `minimum`, undefined where it is not given. */
export const count = (name: string, minimum: number, description: string): Flag.Flag<number | undefined> =>
  Flag.Int(name).pipe(
    Flag.withDescription(`${description} [env: ${environmentName(name)}]`),
    Flag.withFallbackConfig(Config.Int(environmentName(name))),
    Flag.filter(
      (value) => value >= minimum && Number.isSafeInteger(value),
      () => `a whole number of at least ${minimum}`
    ),
    orUndefined
  )

/** A flag with a number that is not negative, undefined where it is not given. */
export const fraction = (name: string, description: string): Flag.Flag<number | undefined> =>
  Flag.Finite(name).pipe(
    Flag.withDescription(`${description} [env: ${environmentName(name)}]`),
    Flag.withFallbackConfig(Config.Finite(environmentName(name))),
    Flag.filter((value) => value >= 0, () => "a number of at least 0"),
    orUndefined
  )

/** A flag with one of a few words. */
export const choice = <const Words extends ReadonlyArray<string>>(name: string, words: Words, description: string) =>
  Flag.Literals(name, words).pipe(
    Flag.withDescription(`${description} [env: ${environmentName(name)}]`),
    Flag.withFallbackConfig(Config.schema(Schema.Literals(words), environmentName(name)))
  )

/** A flag that may be given several times; its environment variable holds all values with commas between them. */
export const repeated = (name: string, description: string): Flag.Flag<ReadonlyArray<string>> =>
  Flag.String(name).pipe(
    Flag.withDescription(`${description}; repeatable [env: ${environmentName(name)}, separated by commas]`),
    Flag.atLeast(1),
    Flag.withFallbackConfig(
      Config.NonEmptyString(environmentName(name)).pipe(
        Config.map((list) => list.split(",").map((item) => item.trim()))
      )
    )
  )

/** Undefined where the flag is not given, so that handlers need not know `Option`. */
export const orUndefined = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Reads `300ms`, `1s`, `1.5s`, `2m`, and what Effect reads (`"300 millis"`); undefined for anything else. */
export const parseDuration = (input: string): Duration.Duration | undefined => {
  const short = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(input.trim())
  if (short !== null) return Duration.millis(Number(short[1]) * units[short[2]!]!)
  const long = Schema.decodeUnknownOption(Schema.DurationFromString)(input.trim())
  return Option.isSome(long) && Duration.isFinite(long.value) && !Duration.isNegative(long.value)
    ? long.value
    : undefined
}

/** A flag with a duration. */
export const duration = (name: string, description: string): Flag.Flag<Duration.Duration> =>
  text(name, description).pipe(
    Flag.filterMap(
      (input) => Option.fromUndefinedOr(parseDuration(input)),
      () => "a duration such as 300ms or 1s"
    ),
    Flag.withMetavar("duration")
  )

/** Where a node keeps its keys and its data. */
export const dataDir: Flag.Flag<string> = text("data-dir", "The node's data directory, ./raft unless told otherwise")
  .pipe(
    Flag.withDefault("./raft")
  )

/** The nodes to talk to: the next one is tried where one cannot be reached. */
export const endpoints: Flag.Flag<ReadonlyArray<string>> = repeated(
  "endpoint",
  "The HTTP address of a node, http://127.0.0.1:11000 unless told otherwise"
).pipe(
  Flag.withDefault(["http://127.0.0.1:11000"]),
  Flag.filterMap(
    (list) => {
      const parsed = list.map(parseEndpoint)
      return parsed.every((endpoint) => endpoint !== undefined) ? Option.some(parsed) : Option.none()
    },
    () => "an address such as http://127.0.0.1:11000"
  )
)

/** How long a call may take, undefined for the service's default of 5 s. */
export const timeout: Flag.Flag<Duration.Duration | undefined> = orUndefined(
  duration("timeout", "How long the call may take, 5s unless told otherwise, at most 60s")
)

/** Whether output is for programs. */
export const Json = GlobalFlag.Setting("json")({
  flag: toggle("json", "Print JSON for programs")
})
