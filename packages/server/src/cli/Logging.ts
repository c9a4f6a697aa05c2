/** The node's log: lines on standard error, so that standard output stays free for results. */
import { Cause, Layer, Logger, type LogLevel, References } from "effect"

/** `2026-01-31T12:00:00.000Z INFO  role entered role=Leader term=3`, and below it the cause where there is one. */
const textLine = Logger.make<unknown, string>(({ cause, date, fiber, logLevel, message }) => {
  const words = (Array.isArray(message) ? message : [message]).map((part) =>
    typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part)
  )
  const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations)).map(([name, value]) =>
    `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`
  )
  const line = [date.toISOString(), logLevel.toUpperCase().padEnd(5), ...words, ...annotations].join(" ")
  return cause.reasons.length === 0 ? line : `${line}\n${Cause.pretty(cause)}`
})

/** Writes log lines of at least `level` to standard error. */
export const layer = (options: { readonly level: LogLevel.LogLevel; readonly format: "text" | "json" }) =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(options.format === "json" ? Logger.formatJson : textLine)]),
    Layer.succeed(References.MinimumLogLevel, options.level)
  )
