/** The scripts on disk, and the traces beside them. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseScript, type Script } from "./Script.ts"

const folder = join(import.meta.dirname, "scenarios")

export const scriptNames = (): ReadonlyArray<string> =>
  readdirSync(folder).filter((file) => file.endsWith(".script")).map((file) => file.slice(0, -".script".length)).sort()

export const readScript = (name: string): Script =>
  parseScript(name, readFileSync(join(folder, `${name}.script`), "utf8"))

/** The trace that is kept of a script; null where it keeps none. */
export const goldenOf = (name: string): string | null => {
  const path = join(folder, `${name}.trace`)
  return existsSync(path) ? readFileSync(path, "utf8") : null
}

export const keepGolden = (name: string, trace: string | null): void => {
  const path = join(folder, `${name}.trace`)
  if (trace === null) rmSync(path, { force: true })
  else writeFileSync(path, trace)
}
