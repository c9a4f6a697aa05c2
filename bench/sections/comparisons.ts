/** The sections that compare distkv with its rivals over the number of clients, and by the kind of load. */
import { bareHttp, bareHttpOf } from "../clusters/BareHttp.ts"
import { etcd, type EtcdCluster, etcdOf, gatewayOf } from "../clusters/EtcdCluster.ts"
import { httpOf, servers } from "../clusters/Servers.ts"
import { embeddedOf, etcd3Of, inMemory, memoryOf, onDisk } from "../clusters/Services.ts"
import { type Cluster, type Contender, evenly, type Level, readsBy, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import type { Over } from "../report/Summary.ts"
import { planOf, type Site } from "../Rounds.ts"
import { comparing } from "../Section.ts"

const overClients: Over = {
  label: "clients",
  scale: "log",
  x: ({ label }) => Number(label),
  series: ({ contender }) => contender
}

const levelsOf = (options: Options, all: ReadonlyArray<number>) => options.clients ?? (options.quick ? [64] : all)

/** The numbers of clients for everything that is called over HTTP. */
const httpLevels = [1, 16, 64, 256, 1000]

/** So many of three nodes' clients that each node has as many. */
const evenlySpread = (levels: ReadonlyArray<number>): string =>
  `spread: ${
    levels.filter((clients) => clients > 1).map((clients) => evenly(clients, 3)).join(", ")
  } clients in place ` +
  `of ${levels.filter((clients) => clients > 1).join(", ")}, a third at each node, for all`

const ours = (site: Site) => servers(site.folderOf("http"))
const theirs = (site: Site) => etcd(site.folderOf("etcd"))

/** A single client has one node to talk to. */
const spreadToo = (clients: number, leader: Contender, spread: Contender) => clients < 3 ? [leader] : [leader, spread]

export const commit = comparing(
  "commit",
  "Committed writes",
  "writes in memory, embedded, by HTTP and at etcd, side by side",
  (site, options) => {
    const etcdCluster = theirs(site)
    const contenders = [
      memoryOf(inMemory()),
      embeddedOf(onDisk(site.folderOf("embedded")), "leader"),
      { ...httpOf(ours(site), options.at), name: "http" },
      { ...etcdOf(etcdCluster, options.at), name: "etcd" }
    ]
    return {
      plan: planOf(options),
      groups: levelsOf(options, [1, 64, 256]).map((clients) => ({
        label: String(clients),
        level: writesBy(clients),
        contenders
      })),
      filled: [],
      rivalOf: () => "etcd",
      axis: "clients",
      over: overClients
    }
  }
)

/** Who joins a comparison, and whose keys have to exist for that. */
interface Others {
  readonly contenders: ReadonlyArray<Contender>
  readonly filled: ReadonlyArray<Cluster>
}

/** distkv and etcd, each at the leader and spread over all nodes, by the number of clients; `others` join them. */
const besideEtcd = (
  name: string,
  title: string,
  about: string,
  levelOf: (clients: number) => Level,
  others: (site: Site, other: EtcdCluster) => Others
) =>
  comparing(name, title, about, (site, options) => {
    const [http, other] = [ours(site), theirs(site)]
    const [httpLeader, httpSpread] = [httpOf(http, "leader"), httpOf(http, "all")]
    const [etcdLeader, etcdSpread] = [etcdOf(other, "leader"), etcdOf(other, "all")]
    const more = others(site, other)
    const levels = levelsOf(options, httpLevels)
    return {
      plan: planOf(options),
      groups: levels.map((clients) => ({
        label: String(clients),
        level: levelOf(clients),
        contenders: [
          ...spreadToo(clients, httpLeader, httpSpread),
          ...spreadToo(clients, etcdLeader, etcdSpread),
          ...more.contenders
        ]
      })),
      filled: levelOf(1).reads > 0 ? [http, other, ...more.filled] : [],
      rivalOf: (name) => name === "http, spread" ? "etcd, spread" : "etcd",
      axis: "clients",
      over: overClients,
      notes: ["ratio: to etcd's Go client at the same nodes", evenlySpread(levels)]
    }
  })

export const writes = besideEtcd(
  "writes",
  "Writes over HTTP",
  "PUT at the leader and spread, beside etcd's Go client and etcd's HTTP gateway",
  writesBy,
  (_, other) => ({ contenders: [gatewayOf(other)], filled: [] })
)

export const linearizable = besideEtcd(
  "reads",
  "Linearizable reads over HTTP",
  "linearizable GET at the leader and spread, beside etcd's; and reads on the leader's lease",
  (clients) => readsBy(clients, "linearizable"),
  (site) => {
    const leased = servers(site.folderOf("lease"), { name: "lease", startFlags: ["--clock-drift", "0.01"] })
    const contender = httpOf(leased, "leader")
    return {
      contenders: [{
        ...contender,
        name: "http, lease",
        describe: "distkv with --clock-drift 0.01, ?consistency=lease: wrk at the leader, which asks nobody",
        load: (level, ms) => contender.load({ ...level, consistency: "lease" }, ms)
      }],
      filled: [leased]
    }
  }
)

export const stale = comparing(
  "stale",
  "Stale reads over HTTP",
  "stale GET, beside a bare node:http server and etcd's serializable reads",
  (site, options) => {
    const [http, other, bare] = [ours(site), theirs(site), bareHttp()]
    const [httpLeader, httpSpread] = [httpOf(http, "leader"), httpOf(http, "all")]
    const [etcdLeader, etcdSpread] = [etcdOf(other, "leader"), etcdOf(other, "all")]
    const levels = levelsOf(options, httpLevels)
    return {
      plan: planOf(options),
      groups: levels.map((clients) => ({
        label: String(clients),
        level: readsBy(clients, "stale"),
        contenders: [
          ...spreadToo(clients, httpLeader, httpSpread),
          bareHttpOf(bare),
          ...spreadToo(clients, etcdLeader, etcdSpread)
        ]
      })),
      filled: [http, other],
      rivalOf: (name) => name === "http, spread" ? "etcd, spread" : name.startsWith("etcd") ? "etcd" : "node:http",
      axis: "clients",
      over: overClients,
      notes: [
        "ratio: at one node to a bare node:http server, spread to etcd's serializable reads",
        evenlySpread(levels)
      ]
    }
  }
)

export const embedded = comparing(
  "embedded",
  "Embedded in three services",
  "DistKv.set and get inside three services, beside the same services on the etcd3 client",
  (site, options) => {
    const other = theirs(site)
    const services = onDisk(site.folderOf("embedded"))
    const contenders = [embeddedOf(services, "all"), etcd3Of(other)]
    const levels = levelsOf(options, [1, 64, 256])
    return {
      plan: planOf(options),
      groups: [
        ...levels.map((clients) => ({ label: `${clients} writing`, level: writesBy(clients), contenders })),
        ...levels.map((clients) => ({
          label: `${clients} reading`,
          level: readsBy(clients, "linearizable"),
          contenders
        }))
      ],
      filled: [services, other],
      rivalOf: () => "etcd3",
      axis: "callers"
    }
  }
)

const sizes: ReadonlyArray<readonly [label: string, bytes: number]> = [
  ["16 B", 16],
  ["256 B", 256],
  ["4 KiB", 4096],
  ["64 KiB", 65_536],
  ["256 KiB", 262_144]
]

export const mixed = comparing(
  "mixed",
  "Mixed loads and sizes of values",
  "90 and 50 % linearizable reads, and writes of 16 B to 256 KiB, 64 clients",
  (site, options) => {
    const [http, other] = [ours(site), theirs(site)]
    const contenders = [httpOf(http, "leader"), etcdOf(other, "leader")]
    const level = writesBy(64)
    return {
      plan: planOf(options),
      groups: [
        { label: "90 % reads", level: { ...level, reads: 0.9 }, contenders },
        { label: "50 % reads", level: { ...level, reads: 0.5 }, contenders },
        ...sizes.slice(0, options.quick ? 1 : sizes.length).map(([label, valueBytes]) => ({
          label,
          // Keys of their own, or the reads of the next round would find large values; few enough of them for the
          // largest values to fit any disk.
          level: {
            ...level,
            prefix: `${valueBytes}-`,
            valueBytes,
            keys: Math.min(10_000, Math.max(500, Math.floor(2 ** 28 / valueBytes)))
          },
          contenders
        }))
      ],
      filled: [http, other],
      rivalOf: () => "etcd",
      axis: "load"
    }
  }
)
