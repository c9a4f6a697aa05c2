/**
 * I28: what a node holds for its callers and peers is bounded, and comes back to nothing when nobody wants anything: a
 * counter that leaks refuses everything in the end.
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

/** An entry and an append of the largest size may lie beyond a bound: one of them is always taken. */
const slackBytes = 3 * 1024 * 1024

/** Adding everything up at each step would take longer than the steps. */
const everySteps = 16

export const bounded = (view: GlobalView, steps = { taken: 0 }): Invariant => ({
  id: "I28",
  title: "What a node holds for callers and peers is bounded",
  stepped: ({ id }, { held, limits, pending, progress }) => {
    if (++steps.taken % everySteps !== 0) return
    const peers = progress?.size ?? 0
    const { "bytes on their way": onTheirWay = 0, "uncommitted bytes": uncommitted = 0, ...counts } = held()
    const bounds: ReadonlyArray<readonly [what: string, held: number, most: number]> = [
      // Own callers' up to the limit, and as many forwarded ones as make twice the limit with them.
      ["writes", pending.writes, 3 * limits.pendingWrites + 1],
      ["reads", pending.reads, limits.pendingReads],
      ["callers' writes", counts["callers' writes"] ?? 0, limits.pendingWrites],
      ["uncommitted bytes", uncommitted, limits.uncommittedBytes + slackBytes],
      ["bytes on their way", onTheirWay, peers * (limits.inflightBytes + slackBytes)]
    ]
    for (const [what, held, most] of bounds) {
      if (held > most) view.violate("I28", `${id} holds ${held} ${what}, at most ${most} may be`)
      if (held < 0) view.violate("I28", `${id} counts ${held} ${what}`)
    }
  }
})

/**
 * What nodes that run still hold, although nobody wants anything of them. What is on its way to a member that is gone
 * stays so, within the window that there is for each.
 */
export const leftovers = (view: GlobalView): ReadonlyArray<string> => {
  const up = [...view.nodes.values()].filter((node) => node.isUp)
  const isWhole = [...view.members].every((id) => view.node(id).isUp)
  return up.flatMap(({ held, id }) =>
    Object.entries(held()).filter(([what, count]) => count !== 0 && (isWhole || what !== "bytes on their way")).map((
      [what, count]
    ) => `${id} still holds ${count} ${what}`)
  )
}
