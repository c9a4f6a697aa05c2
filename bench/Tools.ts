/** The programs of others that the benchmarks need. What is missing is said, and what needs it is left out. */
import { execFileSync, spawnSync } from "node:child_process"
import { packages as etcdPackages } from "./clusters/EtcdCluster.ts"
import { packages as wrkPackages } from "./load/Wrk.ts"

const isThere = (command: string, ...args: ReadonlyArray<string>) => spawnSync(command, args).error === undefined

/** Whether each is there; says what is not. */
export const findTools = (): { readonly wrk: boolean; readonly etcd: boolean } => {
  const wrk = isThere("wrk", "--version")
  const etcd = isThere("etcd", "--version") && isThere("go", "version")
  const advise = (what: string, packages: ReadonlyArray<string>) =>
    console.error(`${what} is missing and left out: apt-get install ${packages.join(" ")}, or --install`)
  if (!wrk) advise("wrk", wrkPackages)
  if (!etcd) advise("etcd (or Go)", etcdPackages)
  return { wrk, etcd }
}

/** Fails with what to do where `wrk` is missing. */
export const needWrk = (section: string): void => {
  if (isThere("wrk", "--version")) return
  throw new Error(`${section} needs wrk: apt-get install ${wrkPackages.join(" ")}, or --install`)
}

export const installTools = (): void => {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const install = ["install", "-y", "-q", "--no-install-recommends", ...wrkPackages, ...etcdPackages]
  for (const args of [["update", "-q"], install]) execFileSync("apt-get", args, { stdio: ["ignore", 2, 2], env })
}
