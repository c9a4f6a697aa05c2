/** The program as it is published: a bundle, which starts sooner and takes less memory than the sources. */
import { execFileSync } from "node:child_process"
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const dist = join(root, "packages", "server", "dist")
const bundle = join(dist, "distkv.bundle.mjs")

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
