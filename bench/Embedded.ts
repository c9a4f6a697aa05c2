/** distkv inside the processes that use it: three nodes in one process in memory, or one in each of three on disk. */
import { Keys } from "@distkv/transport-ssh"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Contender, LoadResult } from "./Contender.ts"
import { end, pidOf, startProgram } from "./Processes.ts"
import type { Answer, Assignment, NodeReport, Question } from "./Protocol.ts"
import { until } from "./Waiting.ts"

export const nodeIds = ["n1", "n2", "n3"]

/** Makes a directory with keys for every node; each accepts the keys of all. Answers with the directories. */
export const makeDirectories = async (folder: string): Promise<ReadonlyArray<string>> => {
  const directories = nodeIds.map((id) => join(folder, id))
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true })
    await Effect.runPromise(Keys.init(directory))
  }
  const all = directories.map((directory) => readFileSync(join(directory, "id_ed25519.pub"), "utf8")).join("")
  for (const directory of directories) writeFileSync(join(directory, "authorized.keys"), all, { mode: 0o600 })
  return directories
}

const launch = (assignment: Assignment): ChildProcess =>
  startProgram(new URL("worker.ts", import.meta.url), [JSON.stringify(assignment)])

const put = (child: ChildProcess, question: Question): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`a node's process ended with ${String(code)}`))
    child.once("exit", gone)
    child.once("message", (answer: Answer) => {
      child.off("exit", gone)
      resolve(answer)
    })
    child.send(question)
  })

const statusOf = async (child: ChildProcess): Promise<NodeReport> => {
  const answer = await put(child, { ask: "status" })
  if (answer.answer !== "status") throw new Error(answer.answer === "failed" ? answer.message : "not the answer")
  return answer.report
}

const make = (
  name: string,
  describe: string,
  begin: (children: Array<ChildProcess>) => Promise<void>
): Contender => {
  const children: Array<ChildProcess> = []
  let leader: ChildProcess | undefined
  return {
    name,
    describe,
    start: () => begin(children),
    ready: async () => {
      leader = await until(`${name} elects a leader`, async () => {
        const reports = await Promise.all(children.map(statusOf))
        const agreed = reports.every(({ leader, ready, voters }) =>
          ready && voters === 3 && leader !== null && leader === reports[0]?.leader
        )
        return agreed ? children[reports.findIndex(({ leads }) => leads)] : undefined
      })
    },
    load: async (level, ms): Promise<LoadResult> => {
      if (leader === undefined) throw new Error(`${name} has no leader`)
      const answer = await put(leader, { ask: "load", level, ms })
      if (answer.answer !== "load") throw new Error(answer.answer === "failed" ? answer.message : "not the answer")
      return answer.result
    },
    processes: () =>
      [...children.filter((child) => child === leader), ...children.filter((child) => child !== leader)]
        .map((child) => ({
          name: children.length === 1 ? "all" : nodeIds[children.indexOf(child)] ?? "",
          pid: pidOf(child)
        })),
    stop: async () => {
      await Promise.all(children.map(end))
    }
  }
}

export const memory = (): Contender =>
  make(
    "memory",
    "distkv, three nodes and the writers in one process, in memory, every message encoded",
    async (children) => {
      children.push(launch({ kind: "memory" }))
    }
  )

export const onDisk = (folder: string): Contender =>
  make("embedded", "distkv, three processes over SSH, on disk, the writers in the leader's", async (children) => {
    let first: string | null = null
    const directories = await makeDirectories(folder)
    for (const [i, directory] of directories.entries()) {
      const child = launch({ kind: "node", directory, nodeId: nodeIds[i] ?? "", join: first })
      children.push(child)
      first ??= await until("the first node founds a cluster", async () => {
        const { address, leads } = await statusOf(child)
        return leads ? address : undefined
      })
    }
  })
