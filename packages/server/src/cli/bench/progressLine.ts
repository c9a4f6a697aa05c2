/** The line that shows how far a benchmark is, written over itself on a terminal. */

const barWidth = 30

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")

/** `part` from 0 to 1. */
export const progressLine = (
  state: { readonly part: number; readonly perSecond: number; readonly p99Ms: number; readonly errors: number }
): string => {
  const done = Math.round(Math.min(1, Math.max(0, state.part)) * barWidth)
  const bar = "█".repeat(done) + "░".repeat(barWidth - done)
  const errors = state.errors === 0 ? "" : `  ${whole(state.errors)} failed`
  const percent = `${Math.floor(Math.min(1, state.part) * 100)}`.padStart(3)
  return `${bar} ${percent} %  ${whole(state.perSecond)} calls/s  p99 ${state.p99Ms.toFixed(1)} ms${errors}`
}
