/** `status`, `member` and `transfer`: the cluster, through any node's HTTP interface. */
import { type Duration, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import { ClusterJson, type MemberChangedJson } from "../http/Wire.ts"
import { connect } from "./Connection.ts"
import { type CommandFailed, failed, misused } from "./ExitStatus.ts"
import { endpoints, Json, text, timeout, toggle } from "./Flags.ts"
import { parseHostPort } from "./HostPort.ts"
import { printJson, printLine, styled } from "./Output.ts"
import { memberTable, statusLines } from "./StatusView.ts"

const askCluster = (flags: {
  readonly endpoints: ReadonlyArray<string>
  readonly timeout: Duration.Duration | undefined
}) => Effect.flatMap(connect(flags.endpoints), (store) => store.cluster({ timeout: flags.timeout }))

export const statusCommand = Command.make("status", { endpoints, timeout }, (flags) =>
  Effect.gen(function*() {
    const cluster = yield* askCluster(flags)
    if (yield* Json) return yield* printJson(Schema.encodeSync(ClusterJson)(cluster))
    for (const line of statusLines(cluster)) yield* printLine(line)
  })).pipe(Command.withDescription("Show a node's view of the cluster: members, roles, lag, how many may fail"))

const list = Command.make("list", { endpoints, timeout }, (flags) =>
  Effect.gen(function*() {
    const cluster = yield* askCluster(flags)
    if (yield* Json) return yield* printJson(Schema.encodeSync(ClusterJson)(cluster).members)
    for (const line of memberTable(cluster)) yield* printLine(line)
  })).pipe(Command.withDescription("List the members"))

/** A public key given as itself, or as the file that holds it; without its comment. */
const readPublicKey = (given: string): Effect.Effect<string, CommandFailed> =>
  Effect.suspend(() => {
    const isKey = (line: string) => /^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+( |$)/.test(line)
    const bare = (line: string) => line.trim().split(/\s+/).slice(0, 2).join(" ")
    if (isKey(given)) return Effect.succeed(bare(given))
    return Effect.flatMap(
      Effect.try({
        try: () => fs.readFileSync(given, "utf8").trim(),
        catch: (cause) => failed(`cannot read ${given}: ${cause instanceof Error ? cause.message : String(cause)}`)
      }),
      (line) =>
        isKey(line) && !line.includes("\n")
          ? Effect.succeed(bare(line))
          : Effect.fail(failed(`${given} does not hold one public key`))
    )
  })

const add = Command.make("add", {
  endpoints,
  timeout,
  address: text("address", "Where the others reach it, as host:port").pipe(Flag.withMetavar("host:port")),
  publicKey: text("public-key", "Its public key: the file id_ed25519.pub, or the line itself"),
  learner: toggle("learner", "Keep it a learner, which counts in no quorum"),
  id: Argument.String("id").pipe(Argument.withDescription("Its node id"))
}, (flags) =>
  Effect.gen(function*() {
    if (parseHostPort(flags.address) === undefined) {
      return yield* misused(`--address must be host:port, not ${JSON.stringify(flags.address)}`)
    }
    const publicKey = yield* readPublicKey(flags.publicKey)
    const store = yield* connect(flags.endpoints)
    const member = yield* store.addMember(
      { id: flags.id, address: flags.address, publicKey, learner: flags.learner },
      { timeout: flags.timeout }
    )
    yield* (yield* Json)
      ? printJson(member)
      : printLine(`added ${styled("bold", member.id)} at ${member.address} as ${member.standing}`)
  })).pipe(Command.withDescription("Admit a node that awaits a join; it catches up, and then it votes"))

const memberId = Argument.String("id").pipe(Argument.withDescription("The member's node id"))

const force = toggle("force", "Do it also where that leaves no live quorum")

const remove = Command.make("remove", { endpoints, timeout, force, id: memberId }, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    yield* store.removeMember(flags.id, { timeout: flags.timeout, force: flags.force })
    yield* (yield* Json) ? printJson({ id: flags.id }) : printLine(`removed ${styled("bold", flags.id)} for good`)
  })).pipe(Command.withDescription("Remove a member for good: its id and key never come back"))

const sayStanding = (member: MemberChangedJson) =>
  Effect.flatMap(
    Json,
    (json) => json ? printJson(member) : printLine(`${styled("bold", member.id)} is a ${member.standing}`)
  )

const promote = Command.make("promote", { endpoints, timeout, force, id: memberId }, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    yield* sayStanding(yield* store.promoteMember(flags.id, { timeout: flags.timeout, force: flags.force }))
  })).pipe(Command.withDescription("Make a learner a voter, once it has caught up and every live voter reaches it"))

const demote = Command.make("demote", { endpoints, timeout, force, id: memberId }, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    yield* sayStanding(yield* store.demoteMember(flags.id, { timeout: flags.timeout, force: flags.force }))
  })).pipe(Command.withDescription("Make a voter a learner, which counts in no quorum"))

export const memberCommand = Command.make("member").pipe(
  Command.withDescription("List, add, remove, promote and demote members"),
  Command.withSubcommands([list, add, remove, promote, demote])
)

export const transferCommand = Command.make("transfer", {
  endpoints,
  timeout,
  id: Argument.String("id").pipe(
    Argument.withDescription("The voter to lead; the one furthest ahead unless told otherwise"),
    Argument.withDefault("")
  )
}, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    const { leader, term } = yield* store.transfer(flags.id === "" ? undefined : flags.id, { timeout: flags.timeout })
    yield* (yield* Json)
      ? printJson({ leader, term: String(term) })
      : printLine(`${styled("bold", leader)} leads in term ${term}`)
  })).pipe(Command.withDescription("Hand leadership over"))
