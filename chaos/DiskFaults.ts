/**
 * Sick disks. A node's log is what its word rests on: where a write to it fails the node ends itself and says so, and
 * no write is acknowledged over it; where it hangs the node does not lead.
 *
 * scenario: D01 D02 D03 D04 D12
 */
import { readFileSync, statSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { ChaosNode } from "./Cluster.ts"
import { fill } from "./Disks.ts"
import { anyOf, type Fault, leaderOf, restartIfEnded, type Site, someTime } from "./Fault.ts"
import { type Calls, tamper, type Tampering } from "./Tampering.ts"
import { nowMicros, until, Violation } from "./Waiting.ts"

const traced = ({ tracing }: Site): number => tracing ? 1 : 0

/** Longer than any fault lasts: what is held up for so long goes on when the fault is over. */
const forEver = "delay_enter=100s"

const fullDisk: Fault = {
  name: "a full disk",
  weight: ({ small }) => small === undefined ? 0 : 1,
  run: async (site) => {
    const { small } = site
    if (small === undefined) return
    site.tell(`the disk of ${small.id} is full`)
    const empty = fill(small.directory)
    await someTime(site)
    await sleep(1500)
    empty()
    await restartIfEnded(site, small)
  }
}

const slow = (calls: Calls, effect: string): Fault => ({
  name: `slow ${calls}`,
  weight: traced,
  effect,
  run: async (site) => {
    const victim = site.random.chance(0.5) ? await leaderOf(site) : anyOf(site)
    const ms = Math.round(site.random.between(5, site.electionTimeoutMs))
    site.tell(`${calls} of ${victim.id} take ${ms} ms more`)
    const tampering = await tamper(victim, calls, `delay_enter=${ms}ms`)
    await someTime(site)
    await tampering.mend()
    site.tally.note(effect, tampering.hits())
    await restartIfEnded(site, victim)
  }
})

const failingSync: Fault = {
  name: "a failing sync",
  weight: traced,
  effect: "syncs that failed",
  run: async (site) => {
    const victim = site.random.chance(0.5) ? await leaderOf(site) : anyOf(site)
    site.tell(`a sync of ${victim.id} fails`)
    const tampering = await tamper(victim, "syncs", "error=EIO:when=1")
    await until("a sync fails", 5000, () => tampering.hits() > 0 || !victim.alive ? true : undefined).catch(() => false)
    await sleep(site.electionTimeoutMs)
    await tampering.mend()
    site.tally.note("syncs that failed", tampering.hits())
    await restartIfEnded(site, victim)
  }
}

/** What a node said since `from`, a length of its log. */
const saidSince = (node: ChaosNode, from: number): string => readFileSync(node.log).subarray(from).toString("utf8")

interface Failing {
  readonly node: ChaosNode
  readonly from: number
  readonly tampering: Tampering
}

const failLog = async (node: ChaosNode, error: string): Promise<Failing> => {
  const from = statSync(node.log).size
  return { node, from, tampering: await tamper(node, "log writes", `error=${error}`) }
}

/** Waits until a node has ended over a failed write, and checks what it said; it has to be started again. */
const endsBy = async (site: Site, { from, node, tampering }: Failing): Promise<void> => {
  try {
    await until(`${node.id} ends itself over a failed write to its log`, 15_000, () => node.alive ? undefined : true)
  } finally {
    await tampering.mend()
  }
  const said = saidSince(node, from)
  if (tampering.hits() === 0) throw new Violation(`${node.id} ended, and no write to its log has failed`)
  if (!/a commit to the log failed: (EIO|ENOSPC)/.test(said)) {
    throw new Violation(`${node.id} does not say why it ended: ${said.slice(-500)}`)
  }
  site.tally.note("nodes that ended over a failed log write")
}

const errors = ["EIO", "ENOSPC"]

const failingLogWrite = (whose: "the leader" | "a follower"): Fault => ({
  name: `failing log writes of ${whose}`,
  weight: traced,
  effect: "nodes that ended over a failed log write",
  run: async (site) => {
    const leader = await leaderOf(site)
    const followers = site.cluster.nodes.filter((node) => node.serves && node !== leader)
    const victim = whose === "the leader" || followers.length === 0 ? leader : site.random.pick(followers)
    const error = site.random.pick(errors)
    site.tell(`each write of ${victim.id}, ${victim === leader ? "the leader" : "a follower"}, to its log: ${error}`)
    await endsBy(site, await failLog(victim, error))
    site.tally.note(`log writes that failed (${error}): nodes`)
    await site.cluster.launch(victim)
  }
})

/** With nobody's writes kept, whoever counts one that failed acknowledges what nobody has. */
const failingLogWrites: Fault = {
  name: "failing log writes of all nodes",
  weight: traced,
  effect: "nodes that ended over a failed log write",
  run: async (site) => {
    const { nodes } = site.cluster
    site.tell("each write of every node to its log: EIO")
    const failing = await Promise.all(nodes.filter((node) => node.serves).map((node) => failLog(node, "EIO")))
    const from = nowMicros()
    const acknowledged: Array<string> = []
    const done = site.cluster.listen(({ called, input, outcome }) => {
      if (called < from || outcome._tag !== "Answered" || outcome.output._tag !== "Set") return
      acknowledged.push(`${JSON.stringify(input)} at revision ${outcome.output.revision}`)
    })
    const most = until(
      "most nodes end over failed writes to their logs",
      15_000,
      () => failing.filter(({ node }) => !node.alive).length > nodes.length / 2 ? true : undefined
    )
    await Promise.allSettled([most])
    // What the clients have heard is handed over in a moment.
    await sleep(500)
    done()
    // One that is left alone has nothing to write, and is none the worse for it.
    const ends = failing.map((one) => one.tampering.hits() > 0 ? endsBy(site, one) : one.tampering.mend())
    await Promise.allSettled(ends)
    if (acknowledged.length > 0) {
      throw new Violation(`acknowledged, and no disk has kept it: ${acknowledged.slice(0, 5).join("; ")}`)
    }
    await Promise.all([most, ...ends])
    await Promise.all(nodes.filter((node) => !node.alive).map((node) => site.cluster.launch(node)))
  }
}

/** How long a commit may take until the node ends itself, with a margin; its default is 10 s. */
const stuckWithinMs = 20_000

const hangingLog: Fault = {
  name: "a hanging log of the leader",
  weight: traced,
  effect: "leaders that stepped aside for their hanging disk",
  run: async (site) => {
    const { node: victim, term } = await site.cluster.someLeader(30_000)
    const toTheEnd = site.random.chance(0.25)
    site.tell(`the log of ${victim.id}, the leader, hangs${toTheEnd ? " until it ends itself" : ""}`)
    const from = statSync(victim.log).size
    const tampering = await tamper(victim, "log writes", forEver)
    try {
      const limitMs = 20 * site.electionTimeoutMs + 2000
      await until(`another leads than ${victim.id}, whose disk hangs`, limitMs, async () => {
        const leader = await site.cluster.leader()
        return leader !== undefined && leader.node !== victim && leader.term > term ? true : undefined
      })
      site.tally.note("leaders that stepped aside for their hanging disk")
      if (toTheEnd) {
        await until(
          `${victim.id} says that its disk is stuck`,
          stuckWithinMs,
          () => saidSince(victim, from).includes("the disk is stuck") ? true : undefined
        )
        await tampering.mend()
        // Until then the system cannot end a process of which a thread waits for the disk.
        await until(`${victim.id} ends itself`, 10_000, () => victim.alive ? undefined : true)
        site.tally.note("nodes that ended over a stuck disk")
      } else await someTime(site)
    } finally {
      await tampering.mend()
    }
    await restartIfEnded(site, victim)
  }
}

/** All of them. */
export const diskFaults: ReadonlyArray<Fault> = [
  fullDisk,
  slow("syncs", "syncs that were held up"),
  slow("log writes", "log writes that were held up"),
  failingSync,
  failingLogWrite("the leader"),
  failingLogWrite("a follower"),
  failingLogWrites,
  hangingLog
]
