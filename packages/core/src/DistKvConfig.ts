/**
 * Settings from Effect's `Config`: the environment, a file, or whatever provider the app has.
 *
 * Names are `distkv.nodeId`, `distkv.limits.valueBytes`, …, as in a file, and `DISTKV_NODE_ID`,
 * `DISTKV_LIMITS_VALUE_BYTES`, … as in the environment; where a provider has both, the first counts. `start` is
 * `bootstrap`, `await`, or the addresses to join, with commas between.
 */
import { Config, ConfigProvider, Effect, Option } from "effect"
import type { SettingsInput } from "./DistKvSettings.ts"

const startOf = (text: string): NonNullable<SettingsInput["start"]> => {
  if (text === "bootstrap" || text === "await") return text
  return { join: text.split(",").map((address) => address.trim()).filter((address) => address !== "") }
}

const limits = Config.all({
  pendingWrites: Config.option(Config.Int("pendingWrites")),
  pendingBytes: Config.option(Config.Int("pendingBytes")),
  pendingReads: Config.option(Config.Int("pendingReads")),
  uncommittedBytes: Config.option(Config.Int("uncommittedBytes")),
  inflightBytes: Config.option(Config.Int("inflightBytes")),
  logWindowBytes: Config.option(Config.Int("logWindowBytes")),
  historyRevisions: Config.option(Config.Int("historyRevisions")),
  historyBytes: Config.option(Config.Int("historyBytes")),
  logEntries: Config.option(Config.Int("logEntries")),
  logBytes: Config.option(Config.Int("logBytes")),
  snapshotBytesPerSecond: Config.option(Config.Int("snapshotBytesPerSecond")),
  valueBytes: Config.option(Config.Int("valueBytes"))
}).pipe(Config.nested("limits"))

const fields = Config.all({
  nodeId: Config.option(Config.String("nodeId")),
  start: Config.option(Config.String("start")),
  advertise: Config.option(Config.String("advertise")),
  http: Config.option(Config.String("http")),
  electionTimeout: Config.option(Config.Duration("electionTimeout")),
  heartbeat: Config.option(Config.Duration("heartbeat")),
  clockDrift: Config.option(Config.Finite("clockDrift")),
  checkpointInterval: Config.option(Config.Duration("checkpointInterval")),
  checkpointBytes: Config.option(Config.Int("checkpointBytes")),
  commitTimeout: Config.option(Config.Duration("commitTimeout")),
  limits
})

type Present<A> = { [K in keyof A]?: A[K] extends Option.Option<infer B> ? B : never }

/** Leaves out what is not configured. */
const present = <A extends Record<string, Option.Option<unknown>>>(options: A): Present<A> => {
  const entries = Object.entries(options).flatMap(([name, option]) =>
    Option.isSome(option) ? [[name, option.value] as const] : []
  )
  return Object.fromEntries(entries) as Present<A>
}

const named: Config.Config<SettingsInput> = fields.pipe(
  Config.nested("distkv"),
  Config.map(({ limits, start, ...rest }) => ({
    ...present(rest),
    ...(Option.isSome(start) ? { start: startOf(start.value) } : {}),
    limits: present(limits)
  }))
)

/** The settings of one node; what is not configured has its default. */
export const settingsConfig: Effect.Effect<SettingsInput, Config.ConfigError> = Effect.gen(function*() {
  const provider = yield* ConfigProvider.ConfigProvider
  const plain = yield* named.parse(provider)
  const constant = yield* named.parse(ConfigProvider.constantCase(provider))
  return { ...constant, ...plain, limits: { ...constant.limits, ...plain.limits } }
})
