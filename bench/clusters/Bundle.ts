/** The program as it is published: a bundle, which starts sooner and takes less memory than the sources. */
import { execFileSync } from "node:child_process"
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const dist = join(root, "packages", "server", "dist")
const bundle = join(dist, "distkv.bundle.mjs")

/** What `distkv` runs in a measurement. */
export type Runs = "the bundle" | "the sources"

/** Whoever says so in the environment has the sources everywhere. */
export const usually: Runs = process.env["DISTKV_SOURCES"] === undefined ? "the bundle" : "the sources"

/** For a process that has to run the sources, whatever bundle there is. */
export const fromSources = { DISTKV_SOURCES: "1" }

/** This checkout's servers and commands run from a bundle of the present sources meanwhile; removed where none was. */
export const withBundle = async <A>(use: () => Promise<A>): Promise<A> => {
  const remove = () => {
    for (const path of [bundle, join(dist, "bundle")]) rmSync(path, { force: true, recursive: true })
  }
  const wasThere = existsSync(bundle)
  if (!wasThere) process.once("exit", remove) // also when it is told to end
  try {
    execFileSync(process.execPath, [join(root, "scripts", "bundle.mjs")], { stdio: "ignore" })
    return await use()
  } finally {
    if (!wasThere) {
      process.off("exit", remove)
      remove()
    }
  }
}
