/** What distkv is held to beside etcd: the ratios of alternating rounds, and whether each is reached. */
import { encryption } from "@distkv/transport-ssh"
import { bareHttp, bareHttpOf } from "../clusters/BareHttp.ts"
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { httpOf, servers } from "../clusters/Servers.ts"
import { embeddedOf, etcd3Of, onDisk } from "../clusters/Services.ts"
import { readsBy, writesBy } from "../Contender.ts"
import { reachedIn } from "../report/Targets.ts"
import { planOf } from "../Rounds.ts"
import { comparing } from "../Section.ts"

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
      plan: planOf(options),
      groups: [
        ...levels.map((clients) => ({
          label: `${clients} writing`,
          level: writesBy(clients),
          contenders: clients === 1 ? [overHttp, go] : [overHttp, go, inside, npm]
        })),
        ...many.map((clients) => ({
          label: `${clients} reading`,
          level: readsBy(clients, "linearizable"),
          contenders: [overHttp, go, inside, npm]
        })),
        { label: "64 reading stale", level: readsBy(64, "stale"), contenders: [overHttp, bareHttpOf(bare)] }
      ],
      filled: [http, other, services],
      rivalOf: (name, label) => {
        if (label.endsWith("stale")) return "node:http"
        return name === "embedded, spread" || name === "etcd3" ? "etcd3" : "etcd"
      },
      axis: "clients",
      conclude: (measurements) => ({ tables: [reachedIn("peers", encryption, measurements)] })
    }
  }
)
