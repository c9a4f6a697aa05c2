/**
 * Recorded histories of another project's checker, with known verdicts, where a copy of them is at hand: in the folder
 * named by `DISTKV_PORCUPINE_KV`, or beside the repository.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type AppendInput, appendModel, type AppendOutput } from "../../src/testing/AppendModel.ts"
import { checkLinearizable, type Operation } from "../../src/testing/Linearizability.ts"

const folder = process.env["DISTKV_PORCUPINE_KV"] ??
  fileURLToPath(new URL("../../../../../shared/quality/porcupine-kv", import.meta.url))

const line = /^\{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "([^"]*)", :value (nil|"(.*)")\}$/

/** One event a line: `:invoke` opens an operation of a process, `:ok` closes it. */
const parse = (text: string): ReadonlyArray<Operation<AppendInput, AppendOutput>> => {
  const open = new Map<string, { called: number; input: AppendInput }>()
  const history: Array<Operation<AppendInput, AppendOutput>> = []
  text.trim().split("\n").forEach((row, at) => {
    const match = line.exec(row)
    if (match === null) throw new Error(`line ${at + 1} is not an event: ${row}`)
    const [, process = "", type, op, key = "", , value = ""] = match
    if (type === "invoke") {
      const input: AppendInput = op === "get" ? { op, key } : { op: op as "put" | "append", key, value }
      open.set(process, { called: at, input })
      return
    }
    const call = open.get(process)
    if (call === undefined) throw new Error(`line ${at + 1} closes an operation that was not opened`)
    open.delete(process)
    history.push({ ...call, returned: at, output: op === "get" ? value : null })
  })
  for (const call of open.values()) history.push({ ...call, returned: Infinity, output: undefined })
  return history
}

describe.runIf(existsSync(folder))("recorded histories", () => {
  for (const clients of ["c01", "c10", "c50"]) {
    for (const verdict of ["ok", "bad"]) {
      it(`${clients}-${verdict} is ${verdict === "ok" ? "linearizable" : "not linearizable"}`, () => {
        const history = parse(readFileSync(`${folder}/${clients}-${verdict}.txt`, "utf8"))
        assert.isAbove(history.length, 30)
        assert.strictEqual(
          checkLinearizable(appendModel, history)._tag,
          verdict === "ok" ? "Linearizable" : "Illegal"
        )
      })
    }
  }
})
