/** What the machine itself gives: a bare server, a bare append file beside our logs, a bare round trip. */
import { type Incarnation, type LogEntry, type LogIndex, LogStore, type NodeId, type Term } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { Effect } from "effect"
import { once } from "node:events"
import { type FileHandle, mkdir, open } from "node:fs/promises"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { bareHttp, bareHttpOf } from "../clusters/BareHttp.ts"
import { readsBy, writesBy } from "../Contender.ts"
import { histogram, record } from "../load/Percentiles.ts"
import { reporter } from "../report/Report.ts"
import { median, millis, summarize, summaryTable, whole } from "../report/Summary.ts"
import { atSite, type Plan, planOf, run, type Site } from "../Rounds.ts"
import type { Section } from "../Section.ts"

/** Bytes of a put of 256 bytes as the log keeps it, about. */
const recordBytes = 340

type Commit = (records: number) => Promise<void>

/** The plainest group commit: one write of all that waits, one sync, then the next. */
const bareFile = async (file: string): Promise<{ readonly commit: Commit; readonly close: () => Promise<void> }> => {
  const handle: FileHandle = await open(file, "a")
  return {
    commit: async (records) => {
      await handle.write(Buffer.alloc(records * recordBytes, 120))
      await handle.datasync()
    },
    close: () => handle.close()
  }
}

/** Calls `body` with commits to a log of ours. */
const withLog = (directory: string, log: "segments" | "lmdb", body: (commit: Commit) => Promise<void>): Promise<void> =>
  Effect.gen(function*() {
    const store = yield* LogStore
    yield* store.saveIdentity({
      nodeId: "n1" as NodeId,
      incarnation: "0123456789abcdef0123456789abcdef" as Incarnation,
      clusterId: null,
      founding: false,
      raftPort: null
    })
    let last = 0
    yield* store.write({ hardState: { term: 1 as Term, votedFor: null }, entries: [] })
    const payload = new Uint8Array(recordBytes - 30).fill(120)
    yield* Effect.promise(() =>
      body((records) => {
        const entries = Array.from({ length: records }, (): LogEntry => ({
          term: 1 as Term,
          index: ++last as LogIndex,
          kind: 1,
          record: payload
        }))
        return Effect.runPromise(store.write({ hardState: null, entries }))
      })
    )
  }).pipe(Effect.provide(LmdbStorage.layer({ directory, log })), Effect.runPromise)

/** One kind of commit, in one round; latencies in milliseconds. */
export interface Committed {
  readonly kind: string
  readonly records: number
  readonly round: number
  readonly recordsPerSecond: number
  readonly p50: number
  readonly p99: number
}

const timed = async (kind: string, records: number, round: number, ms: number, commit: Commit): Promise<Committed> => {
  const micros = histogram()
  const began = performance.now()
  let commits = 0
  while (performance.now() - began < ms) {
    const asked = performance.now()
    await commit(records)
    record(micros, performance.now() - asked)
    commits++
  }
  const seconds = (performance.now() - began) / 1000
  return {
    kind,
    records,
    round,
    recordsPerSecond: commits * records / seconds,
    p50: micros.getValueAtPercentile(50) / 1000,
    p99: micros.getValueAtPercentile(99) / 1000
  }
}

const batches = [1, 16, 64, 256]

/** What the logs are compared with. */
export const bareKind = "write + fdatasync"
const kindsOfCommit = [bareKind, "segments", "LMDB"]

const groupCommits = async (site: Site, plan: Plan): Promise<ReadonlyArray<Committed>> => {
  const results: Array<Committed> = []
  const folder = site.folderOf("limits")
  await mkdir(folder)
  const bare = await bareFile(join(folder, "bare"))
  const ms = plan.seconds * 250
  await withLog(
    join(folder, "segments"),
    "segments",
    (segments) =>
      withLog(join(folder, "lmdb"), "lmdb", async (lmdb) => {
        const kinds: ReadonlyArray<readonly [string, Commit]> = [
          [bareKind, bare.commit],
          ["segments", segments],
          ["LMDB", lmdb]
        ]
        for (let round = 0; round <= plan.rounds; round++) {
          const first = round % kinds.length // another one each time: what a turn leaves behind falls on the next
          for (const records of batches) {
            for (const [kind, commit] of [...kinds.slice(first), ...kinds.slice(0, first)]) {
              results.push(await timed(kind, records, round, ms, commit))
            }
          }
        }
      })
  )
  await bare.close()
  return results.filter(({ round }) => round > 0) // the first is a warm-up
}

/** A round trip of a request's size through loopback, in microseconds: the median and the 99th percentile. */
const roundTrip = async (
  ms: number
): Promise<{ readonly p50: number; readonly p99: number; readonly perSecond: number }> => {
  const server = createServer((socket) => void socket.setNoDelay(true).pipe(socket)).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const socket: Socket = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1")
  await once(socket, "connect")
  socket.setNoDelay(true)
  const micros = histogram()
  const message = Buffer.alloc(300, 120)
  const began = performance.now()
  let trips = 0
  while (performance.now() - began < ms) {
    const asked = performance.now()
    socket.write(message)
    await once(socket, "data")
    record(micros, performance.now() - asked)
    trips++
  }
  socket.destroy()
  server.close()
  return {
    p50: micros.getValueAtPercentile(50),
    p99: micros.getValueAtPercentile(99),
    perSecond: 1000 * trips / (performance.now() - began)
  }
}

const commitRows = (all: ReadonlyArray<Committed>): ReadonlyArray<ReadonlyArray<string>> =>
  batches.flatMap((records) =>
    kindsOfCommit.map((kind) => {
      const of = (name: string) => all.filter((one) => one.kind === name && one.records === records)
      const own = of(kind)
      const ratios = own.map((one) =>
        one.recordsPerSecond / (of(bareKind).find(({ round }) => round === one.round)?.recordsPerSecond ?? 1)
      )
      return [
        String(records),
        kind,
        whole(median(own.map(({ recordsPerSecond }) => recordsPerSecond))),
        kind === bareKind ? "" : median(ratios).toFixed(2),
        kind === bareKind ? "" : ratios.map((ratio) => ratio.toFixed(2)).join(" "),
        millis(median(own.map(({ p50 }) => p50))),
        millis(median(own.map(({ p99 }) => p99)))
      ]
    })
  )

export const limits: Section = {
  name: "limits",
  title: "The machine's own limits",
  about: "a bare node:http server, bare group commits beside our logs, a bare round trip",
  run: (options) =>
    atSite(options, async (site) => {
      const plan = planOf(options, { rounds: 5, seconds: 3 })
      const { print, save } = reporter("limits", "The machine's own limits", options)
      const commits = await groupCommits(site, plan)
      const trip = await roundTrip(plan.seconds * 1000)
      const contenders = [bareHttpOf(bareHttp())]
      const measurements = await run(
        site,
        (options.quick ? [64] : [1, 64, 256]).flatMap((clients) => [
          { label: `${clients} writing`, level: writesBy(clients), contenders },
          { label: `${clients} reading`, level: readsBy(clients, "stale"), contenders }
        ]),
        plan,
        () => undefined
      )
      const report = save({
        notes: [
          `log records of ${recordBytes} bytes; a commit is one durable step, and the next begins when it is done`,
          "ratio: records per second beside the bare file in the same round"
        ],
        tables: [
          {
            title: "Group commit of log records",
            heads: ["records a commit", "", "records/s", "ratio", "each round", "p50 ms", "p99"],
            rows: commitRows(commits)
          },
          {
            title: "A round trip of 300 bytes over loopback, in one process",
            heads: ["", "trips/s", "p50 µs", "p99 µs"],
            rows: [["TCP", whole(trip.perSecond), whole(trip.p50), whole(trip.p99)]]
          },
          summaryTable("A bare server of node:http under wrk", "clients", summarize(measurements, () => "nobody"))
        ],
        charts: [],
        raw: { commits, trip, measurements }
      })
      print(report)
    })
}
