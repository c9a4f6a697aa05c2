/** `backup`, `restore`, `verify` and `recover`: a cluster's data outside the cluster. Loaded only when asked for. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { misused } from "./ExitStatus.ts"
import { dataDir, endpoints, Json, optionalText, orUndefined, text, timeout, toggle } from "./Flags.ts"
import { parseHostPort } from "./HostPort.ts"

const file = Argument.String("file").pipe(Argument.withDescription("The file of the backup"))

const markFile = optionalText("mark-file", "Where the node's mark is, if not in its data directory")

export const backupCommand = Command.make("backup", { endpoints, timeout, file }, (flags) =>
  Effect.gen(function*() {
    const { backup } = yield* Effect.promise(() => import("./offline/backup.ts"))
    yield* backup({ ...flags, json: yield* Json })
  })).pipe(Command.withDescription("Write a consistent copy of the whole store to a file"))

export const restoreCommand = Command.make("restore", {
  dataDir,
  nodeId: optionalText("node-id", "The name of the new cluster's first node; drawn where it is not given"),
  raft: text("raft", "Where peers will reach that node, 127.0.0.1:12000 unless told otherwise").pipe(
    Flag.withDefault("127.0.0.1:12000"),
    Flag.withMetavar("host:port")
  ),
  file
}, (flags) =>
  Effect.gen(function*() {
    if (parseHostPort(flags.raft) === undefined) {
      return yield* misused(`--raft must be host:port, not ${JSON.stringify(flags.raft)}`)
    }
    const { restore } = yield* Effect.promise(() => import("./offline/restore.ts"))
    yield* restore({ ...flags, json: yield* Json })
  })).pipe(
    Command.withDescription("Make the first node of a new cluster from a backup, in a directory without data"),
    Command.withExamples([
      {
        command: "distkv restore monday.backup --data-dir n1",
        description: "Then: distkv start --data-dir n1, and let the others join with empty directories"
      }
    ])
  )

export const verifyCommand = Command.make("verify", { dataDir, markFile }, (flags) =>
  Effect.gen(function*() {
    const { verify } = yield* Effect.promise(() => import("./offline/verify.ts"))
    yield* verify({ ...flags, json: yield* Json })
  })).pipe(Command.withDescription("Check every record of a data directory whose node does not run"))

export const recoverCommand = Command.make("recover", {
  dataDir,
  markFile,
  forceNewCluster: toggle("force-new-cluster", "Give the old cluster up, and begin a new one with what this node has"),
  timeout: orUndefined(timeout)
}, (flags) =>
  Effect.gen(function*() {
    if (!flags.forceNewCluster) {
      return yield* misused(
        "recover gives the old cluster up for good, and with it whatever this node had not heard of: " +
          "say --force-new-cluster"
      )
    }
    const { recover } = yield* Effect.promise(() => import("./offline/recover.ts"))
    yield* recover({ ...flags, json: yield* Json })
  })).pipe(
    Command.withDescription("After the quorum is lost for good: make a new cluster of this node alone from its data")
  )
