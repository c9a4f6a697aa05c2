/** Millions of writes at full speed, while the log is compacted as it is by default. */
import { embeddedOf, onDisk } from "../clusters/Services.ts"
import { memoryOf, sizeOf } from "../clusters/Usage.ts"
import { writesBy } from "../Contender.ts"
import { type Findings, reporter } from "../report/Report.ts"
import { millis, whole } from "../report/Summary.ts"
import { atSite, measured, planOf, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"

interface Slice {
  readonly written: number
  readonly perSecond: number
  readonly p99: number
  readonly max: number
  readonly errors: number
  /** The leader's. */
  readonly residentMb: number
  readonly diskMb: number
}

const findingsOf = (slices: ReadonlyArray<Slice>, clients: number): Findings => ({
  notes: [`${clients} callers in three services, 10,000 keys, 256-byte values, compaction as it is by default`],
  tables: [{
    title: "One slice after the other",
    heads: ["writes so far", "writes/s", "p99 ms", "longest ms", "errors", "leader's resident MB", "its disk MB"],
    rows: slices.map(({ diskMb, errors, max, p99, perSecond, residentMb, written }) => [
      whole(written),
      whole(perSecond),
      millis(p99),
      whole(max),
      errors === 0 ? "" : whole(errors),
      whole(residentMb),
      whole(diskMb)
    ])
  }],
  charts: [{
    file: "endurance",
    title: "Writes per second as writes add up",
    x: { label: "writes", scale: "linear" },
    y: { label: "writes/s", scale: "linear" },
    series: [{ name: "embedded", points: slices.map(({ perSecond, written }) => ({ x: written, y: perSecond })) }]
  }],
  raw: slices
})

export const endurance: Section = {
  name: "endurance",
  title: "Millions of writes",
  about: "10 million writes at full speed under default compaction",
  run: (options) =>
    atSite(options, async (site) => {
      const { seconds, warmUp: warmSeconds } = planOf(options, { seconds: 20 })
      const writes = options.writes ?? (options.quick ? 20_000 : 10_000_000)
      const { print, save } = reporter("endurance", endurance.title, options)
      const clients = options.clients?.[0] ?? 256
      const services = onDisk(site.folderOf("embedded"))
      const contender = embeddedOf(services, "all")
      const slices: Array<Slice> = []
      await site.start([services])
      await site.wake([services]) // in a quick run another section has started them
      await warmUp(contender, writesBy(clients), warmSeconds)
      let written = 0
      while (written < writes) {
        await services.ready() // another may lead by now
        const { errors, latency, operations, perSecond } = await measured(contender, writesBy(clients), seconds * 1000)
        if (operations === 0) throw new Error(`endurance: not one of ${errors} writes succeeded in ${seconds} s`)
        written += operations
        const [leader] = services.processes()
        slices.push({
          written,
          perSecond,
          errors,
          p99: latency.p99,
          max: latency.max,
          residentMb: memoryOf(leader?.pid ?? 0).resident / 1e6,
          diskMb: sizeOf(site.folderOf(`embedded/${leader?.name ?? ""}`)) / 1e6
        })
        console.error(`${whole(written)} writes, ${whole(perSecond)}/s`)
        save(findingsOf(slices, clients))
      }
      const report = save(findingsOf(slices, clients))
      print(report)
    })
}
