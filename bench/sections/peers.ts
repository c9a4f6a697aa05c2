/** What distkv is held to beside etcd: the ratios of alternating rounds, and whether each is reached. */
import { encryption } from "@distkv/transport-ssh"
import { bareHttp, bareHttpOf } from "../clusters/BareHttp.ts"
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { httpOf, servers } from "../clusters/Servers.ts"
import { embeddedOf, etcd3Of, onDisk } from "../clusters/Services.ts"
import { readsBy, writesBy } from "../Contender.ts"
import type { Table } from "../report/Report.ts"
import { millis, type Summary, whole } from "../report/Summary.ts"
import { planOf } from "../Rounds.ts"
import { comparing } from "../Section.ts"

/** With ssh2 in JavaScript, and with its addon. */
interface Figures {
  readonly JavaScript: number
  readonly native: number
}

/** One thing to reach. */
interface Goal {
  readonly what: string
  readonly label: string
  readonly contender: string
  /** At least so much; `aim` is hoped for. */
  readonly least: Figures
  readonly aim?: Figures
  readonly of: (summary: Summary) => number | undefined
}

const ratio = ({ ratio }: Summary) => ratio?.median
const same = (value: number) => ({ JavaScript: value, native: value })

const httpWrites: ReadonlyArray<readonly [clients: number, least: Figures, aim: Figures]> = [
  [64, { JavaScript: 1.3, native: 1.8 }, { JavaScript: 1.7, native: 2.2 }],
  [256, { JavaScript: 1.3, native: 1.5 }, { JavaScript: 1.7, native: 1.9 }],
  [1, { JavaScript: 0.8, native: 1.1 }, { JavaScript: 1, native: 1.4 }]
]

const goals: ReadonlyArray<Goal> = [
  ...httpWrites.map(([clients, least, aim]): Goal => ({
    what: `HTTP writes, ${clients === 1 ? "1 client" : `${clients} clients`} / etcd's Go client`,
    label: `${clients} writing`,
    contender: "http",
    least,
    aim,
    of: ratio
  })),
  ...[64, 256].map((clients): Goal => ({
    what: `linearizable HTTP reads, ${clients} clients / etcd's Go client`,
    label: `${clients} reading`,
    contender: "http",
    least: { JavaScript: 2, native: clients === 64 ? 2.8 : 2.3 },
    aim: { JavaScript: 2.6, native: clients === 64 ? 3.5 : 2.8 },
    of: ratio
  })),
  {
    what: "stale HTTP reads, 64 clients / bare node:http",
    label: "64 reading stale",
    contender: "http",
    least: same(0.85),
    of: ratio
  },
  {
    what: "embedded writes, 256 callers in three processes, per second",
    label: "256 writing",
    contender: "embedded, spread",
    least: { JavaScript: 20_000, native: 32_000 },
    of: ({ perSecond }) => perSecond.median
  },
  ...[64, 256].map((clients): Goal => ({
    what: `embedded writes, ${clients} callers / etcd3`,
    label: `${clients} writing`,
    contender: "embedded, spread",
    least: { JavaScript: 4, native: 6 },
    aim: { JavaScript: 6, native: 8 },
    of: ratio
  })),
  {
    what: "embedded linearizable reads, 64 callers / etcd3",
    label: "64 reading",
    contender: "embedded, spread",
    least: same(10),
    of: ratio
  }
]

/** What must not be above a figure. */
const ceilings = (summaries: ReadonlyArray<Summary>): ReadonlyArray<ReadonlyArray<string>> => {
  const find = (label: string, contender: string) =>
    summaries.find((summary) => summary.label === label && summary.contender === contender)
  const rows: Array<ReadonlyArray<string>> = []
  for (const clients of [64, 256]) {
    const [own, theirs] = [find(`${clients} writing`, "http"), find(`${clients} writing`, "etcd")]
    if (own === undefined || theirs === undefined) continue
    rows.push([
      `p99 of HTTP writes, ${clients} clients, not above etcd's, ms`,
      `${millis(own.p99)} beside ${millis(theirs.p99)}`,
      "",
      "",
      own.p99 <= theirs.p99 ? "yes" : "no"
    ])
  }
  const own = find("64 writing", "http")
  if (own !== undefined) {
    const most = encryption === "native" ? { leader: 75, follower: 28 } : { leader: 90, follower: 35 }
    const cpu = (what: string, value: number, limit: number) => [
      `CPU per HTTP write, 64 clients, ${what}, µs at most`,
      whole(value),
      whole(limit),
      "",
      value <= limit ? "yes" : "no"
    ]
    rows.push(cpu("leader", own.cpuLeader, most.leader), cpu("each follower", own.cpuOther, most.follower))
  }
  return rows
}

const reached = (summaries: ReadonlyArray<Summary>): Table => ({
  title: `What is to be reached (ssh2 in ${encryption === "native" ? "native code" : "JavaScript"})`,
  heads: ["", "median", "at least", "aim", "reached"],
  rows: [
    ...goals.flatMap(({ aim, contender, label, least, of, what }) => {
      const summary = summaries.find((one) => one.label === label && one.contender === contender)
      const value = summary === undefined ? undefined : of(summary)
      if (value === undefined) return []
      const shown = (figure: number | undefined) =>
        figure === undefined ? "" : figure > 100 ? whole(figure) : figure.toFixed(2)
      return [[
        what,
        shown(value),
        shown(least[encryption]),
        shown(aim?.[encryption]),
        value >= least[encryption] ? "yes" : "no"
      ]]
    }),
    ...ceilings(summaries)
  ]
})

export const peers = comparing(
  "peers",
  "Beside etcd",
  "what is to be reached beside etcd, in alternating rounds: ratios and whether they are reached",
  (site, options) => {
    const [http, other, bare] = [servers(site.folderOf("http")), etcd(site.folderOf("etcd")), bareHttp()]
    const services = onDisk(site.folderOf("embedded"))
    const overHttp = httpOf(http, "leader")
    const [go, npm] = [etcdOf(other, "leader"), etcd3Of(other)]
    const inside = embeddedOf(services, "all")
    const levels = options.clients ?? (options.quick ? [64] : [1, 64, 256])
    const many = levels.filter((clients) => clients > 1)
    return {
      plan: planOf(options, { rounds: 5, seconds: 3 }),
      groups: [
        ...levels.map((clients) => ({
          label: `${clients} writing`,
          level: writesBy(clients),
          contenders: clients === 1 ? [overHttp, go] : [overHttp, go, inside, npm]
        })),
        ...many.map((clients) => ({
          label: `${clients} reading`,
          level: readsBy(clients, "linearizable"),
          contenders: clients === 64 ? [overHttp, go, inside, npm] : [overHttp, go]
        })),
        { label: "64 reading stale", level: readsBy(64, "stale"), contenders: [overHttp, bareHttpOf(bare)] }
      ],
      filled: [http, other, services],
      rivalOf: (name, label) => {
        if (label.endsWith("stale")) return "node:http"
        return name === "embedded, spread" || name === "etcd3" ? "etcd3" : "etcd"
      },
      axis: "clients",
      conclude: (summaries) => ({ tables: [reached(summaries)] })
    }
  }
)
