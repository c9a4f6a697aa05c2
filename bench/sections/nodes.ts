/** What more nodes cost. */
import { httpOf, servers } from "../clusters/Servers.ts"
import { readsBy, writesBy } from "../Contender.ts"
import { planOf } from "../Rounds.ts"
import { comparing } from "../Section.ts"

export const nodes = comparing(
  "nodes",
  "One, three, five and seven nodes",
  "writes and linearizable reads over HTTP with 1, 3, 5 and 7 nodes",
  (site, options) => {
    const clusters = (options.quick ? [1, 3] : [1, 3, 5, 7]).map((size) =>
      servers(site.folderOf(`of-${size}`), { name: `${size} ${size === 1 ? "node" : "nodes"}`, nodes: size })
    )
    const contenders = clusters.map((cluster) => ({
      ...httpOf(cluster, "leader"),
      describe: `servers over SSH, on disk, wrk at the leader of ${cluster.name}`
    }))
    return {
      plan: planOf(options, { seconds: 3 }),
      groups: [
        { label: "64 writing", level: writesBy(64), contenders },
        { label: "256 writing", level: writesBy(256), contenders },
        { label: "64 reading", level: readsBy(64, "linearizable"), contenders }
      ].slice(0, options.quick ? 1 : 3),
      filled: clusters,
      rivalOf: () => "3 nodes",
      axis: "clients",
      over: {
        label: "nodes",
        scale: "linear",
        x: ({ contender }) => Number.parseInt(contender, 10),
        series: ({ label }) => label
      },
      notes: ["ratio: to three nodes; all nodes share the machine's processors"]
    }
  }
)
