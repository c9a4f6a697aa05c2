/**
 * What distkv is held to, and whether the results reach it.
 */
import {
  cpuOf,
  figureOf,
  type Found,
  groupCommitOf,
  idleOf,
  latencyRatioOf,
  memoryAtMillion,
  rate,
  ratioOf,
  startUpOf
} from "./Figures.ts"
import type { Encryption, Table } from "./Report.ts"
import { whole } from "./Summary.ts"

/** With ssh2 in JavaScript, and with its addon where that is another figure. */
interface Figures {
  readonly JavaScript: number
  readonly native: number
}

/** One thing to reach. */
interface Target {
  readonly what: string
  /** Whose result says whether it is reached. */
  readonly section: string
  readonly bound: "at least" | "at most"
  readonly figures: Figures
  /** What is hoped for. */
  readonly aim?: Figures
  /** Undefined where `raw` says nothing of it. */
  readonly of: (raw: unknown) => Found | undefined
}

const same = (value: number): Figures => ({ JavaScript: value, native: value })
const figures = (JavaScript: number, native: number): Figures => ({ JavaScript, native })

const atLeast = (section: string, what: string, least: Figures, of: Target["of"], aim?: Figures): Target => ({
  what,
  section,
  bound: "at least",
  figures: least,
  of,
  ...aim === undefined ? {} : { aim }
})

const atMost = (section: string, what: string, most: Figures, of: Target["of"]): Target => ({
  what,
  section,
  bound: "at most",
  figures: most,
  of
})

/** All of them. */
const targets: ReadonlyArray<Target> = [
  atLeast(
    "peers",
    "HTTP writes, 64 clients / etcd's Go client",
    figures(1.3, 1.8),
    ratioOf("64 writing", "http", "etcd"),
    figures(1.7, 2.2)
  ),
  atLeast(
    "peers",
    "HTTP writes, 256 clients / etcd's Go client",
    figures(1.3, 1.5),
    ratioOf("256 writing", "http", "etcd"),
    figures(1.7, 1.9)
  ),
  ...[64, 256].map((clients) =>
    atMost(
      "peers",
      `99th percentile of HTTP writes, ${clients} clients / etcd's`,
      same(1),
      latencyRatioOf(`${clients} writing`, "http", "etcd")
    )
  ),
  atLeast(
    "peers",
    "HTTP writes, 1 client / etcd's Go client",
    figures(0.8, 1.1),
    ratioOf("1 writing", "http", "etcd"),
    figures(1, 1.4)
  ),
  atLeast(
    "peers",
    "linearizable HTTP reads, 64 clients / etcd's Go client",
    figures(2, 2.8),
    ratioOf("64 reading", "http", "etcd"),
    figures(2.6, 3.5)
  ),
  atLeast(
    "peers",
    "linearizable HTTP reads, 256 clients / etcd's Go client",
    figures(2, 2.3),
    ratioOf("256 reading", "http", "etcd"),
    figures(2.6, 2.8)
  ),
  atLeast(
    "peers",
    "stale HTTP reads, 64 clients / bare node:http",
    same(0.85),
    ratioOf("64 reading stale", "http", "node:http")
  ),
  atLeast(
    "peers",
    "embedded writes, 256 callers in three processes, per second",
    figures(20_000, 32_000),
    figureOf("256 writing", "embedded, spread", rate)
  ),
  ...[64, 256].map((callers) =>
    atLeast(
      "peers",
      `embedded writes, ${callers} callers / etcd3 client`,
      figures(4, 6),
      ratioOf(`${callers} writing`, "embedded, spread", "etcd3"),
      figures(6, 8)
    )
  ),
  ...[64, 256].map((callers) =>
    atLeast(
      "peers",
      `embedded linearizable reads, ${callers} callers / etcd3 client`,
      same(10),
      ratioOf(`${callers} reading`, "embedded, spread", "etcd3")
    )
  ),
  atMost(
    "peers",
    "processor time per HTTP write, 64 clients, leader, µs",
    figures(90, 75),
    figureOf("64 writing", "http", cpuOf("leader"))
  ),
  atMost(
    "peers",
    "processor time per HTTP write, 64 clients, each follower, µs",
    figures(35, 28),
    figureOf("64 writing", "http", cpuOf("follower"))
  ),
  atLeast(
    "commit",
    "writes in memory, three nodes in one process, 256 callers, per second",
    same(150_000),
    figureOf("256", "memory", rate)
  ),
  atLeast(
    "limits",
    "group commit of log records, segments / bare write + fdatasync",
    same(0.8),
    groupCommitOf("segments")
  ),
  atLeast("limits", "group commit of log records, LMDB / bare write + fdatasync", same(0.4), groupCommitOf("LMDB")),
  ...["writing", "reading"].map((what) =>
    atLeast(
      "growth",
      `64 clients ${what}, 3 million keys / 10 thousand`,
      same(0.8),
      ratioOf(`3,000,000 ${what}`, "http", "10,000 keys")
    )
  ),
  ...["64 writing", "256 writing", "64 reading"].map((label) =>
    atLeast(
      "nodes",
      `${label.replace(" ", " clients ")}, five nodes / three`,
      same(0.6),
      ratioOf(label, "5 nodes", "3 nodes")
    )
  ),
  atMost("cost", "memory of an idle node, MB", same(160), idleOf),
  atMost("growth", "memory of a node after 1 million keys of 256 bytes / etcd's", same(1), memoryAtMillion("filled")),
  atMost("growth", "the same after changes and reads of them in no order", same(1), memoryAtMillion("used")),
  atMost("cost", "from call to end of `distkv status`, ms", same(150), startUpOf)
]

const shownFigure = (value: number): string => value >= 10 ? whole(value) : value.toFixed(2)

/** Fewer are too few to judge by: the machine's speed moves. */
const enoughRounds = 5

const wanted = ({ aim, bound, figures }: Target, by: Encryption): string =>
  `${bound === "at most" ? "≤ " : ""}${shownFigure(figures[by])}${
    aim === undefined ? "" : ` (${shownFigure(aim[by])})`
  }`

const verdict = ({ bound, figures }: Target, by: Encryption, found: Found | undefined): readonly [string, string] => {
  if (found === undefined || !Number.isFinite(found.value)) return ["not measured", ""]
  const { errors, rounds, shown, value } = found
  const reached = bound === "at least" ? value >= figures[by] : value <= figures[by]
  const caveats = [
    ...errors === 0 ? [] : [`${whole(errors)} calls failed`],
    ...rounds >= enoughRounds ? [] : [`${rounds} ${rounds === 1 ? "round" : "rounds"} only`]
  ]
  return [shown ?? shownFigure(value), [reached ? "yes" : "no", ...caveats].join(", ")]
}

/** One section's targets, from what it measured. */
export const reachedIn = (section: string, by: Encryption, raw: unknown): Table => ({
  title: `What is to be reached (ssh2 in ${by === "native" ? "native code" : "JavaScript"})`,
  heads: ["", "at least (aim)", "median", "reached"],
  rows: targets.filter((target) => target.section === section)
    .map((target) => [target.what, wanted(target, by), ...verdict(target, by, target.of(raw))])
})

/** All targets, from the results that there are. */
export const allTargets = (rawOf: (section: string, by: Encryption) => unknown): Table => ({
  title: "What is to be reached",
  heads: [
    "",
    "JavaScript: at least (aim)",
    "median",
    "reached",
    "native: at least (aim)",
    "median",
    "reached",
    "section"
  ],
  rows: targets.map((target) => [
    target.what,
    ...(["JavaScript", "native"] as const).flatMap((by) => {
      const raw = rawOf(target.section, by)
      return [wanted(target, by), ...verdict(target, by, raw === undefined ? undefined : target.of(raw))]
    }),
    `\`${target.section}\``
  ])
})
