/** `init` and `keys`: a node's own key and the keys that it trusts, without a running node. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { choice, dataDir, Json, orUndefined } from "./Flags.ts"
import { inertText, noteLine, printJson, printLine, table } from "./Output.ts"

const loadKeys = Effect.map(Effect.promise(() => import("@distkv/transport-ssh")), ({ Keys }) => Keys)

/** What to copy where, for people who set up a cluster by hand. */
export const whatToCopy = (dataDir: string, line: string): ReadonlyArray<string> => [
  "This node's public key, a line for the authorized.keys of every node that it shall talk to:",
  line,
  `The other nodes' public keys go into ${dataDir}/authorized.keys (distkv keys authorize FILE --data-dir ${dataDir}).`
]

export const initCommand = Command.make("init", {
  dataDir,
  keyType: choice("key-type", ["ed25519", "rsa"], "Which kind of key to make, ed25519 unless told otherwise").pipe(
    orUndefined
  )
}, ({ dataDir, keyType }) =>
  Effect.gen(function*() {
    const keys = yield* loadKeys
    const { created, key } = yield* keys.init(dataDir, { keyType })
    if (yield* Json) {
      return yield* printJson({ created, publicKey: key.publicKey, fingerprint: key.fingerprint, file: key.file })
    }
    yield* noteLine(
      created ? `made ${key.file} (${key.fingerprint})` : `${key.file} is there already (${key.fingerprint})`
    )
    const [what, line, others] = whatToCopy(dataDir, key.line)
    yield* noteLine(what!)
    yield* printLine(line!)
    yield* noteLine(others!)
  })).pipe(Command.withDescription("Make a node's keys, and say what to copy where"))

const show = Command.make("show", { dataDir }, ({ dataDir }) =>
  Effect.gen(function*() {
    const keys = yield* loadKeys
    const key = yield* keys.show(dataDir)
    yield* (yield* Json)
      ? printJson({ publicKey: key.publicKey, fingerprint: key.fingerprint, file: key.file })
      : printLine(key.line)
  })).pipe(Command.withDescription("Print the node's public key as a line for others' authorized.keys"))

const list = Command.make("list", { dataDir }, ({ dataDir }) =>
  Effect.gen(function*() {
    const keys = yield* loadKeys
    const trusted = yield* keys.list(dataDir)
    if (yield* Json) return yield* printJson(trusted)
    for (const line of trusted.refused) yield* noteLine(`${line.file}, line ${line.line}: refused: ${line.reason}`)
    const rows = trusted.keys.map((key) => [
      key.fingerprint,
      key.type,
      key.own ? "this node" : inertText(key.comment),
      `${key.file}:${key.line}`
    ])
    for (const line of table([["FINGERPRINT", "TYPE", "COMMENT", "WHERE"], ...rows])) yield* printLine(line)
  })).pipe(Command.withDescription("List the keys that the node trusts"))

const authorize = Command.make("authorize", {
  dataDir,
  file: Argument.String("file").pipe(Argument.withDescription("A public key file, or the line itself"))
}, ({ dataDir, file }) =>
  Effect.gen(function*() {
    const keys = yield* loadKeys
    const { added, known } = yield* keys.authorize(dataDir, file)
    if (yield* Json) return yield* printJson({ added, known })
    for (const key of added) yield* printLine(`authorized ${key.fingerprint} ${inertText(key.comment)}`.trimEnd())
    for (const key of known) yield* printLine(`${key.fingerprint} is authorized already (${key.file}:${key.line})`)
  })).pipe(Command.withDescription("Trust the public keys of a file; a running node notices by itself"))

const revoke = Command.make("revoke", {
  dataDir,
  fingerprint: Argument.String("fingerprint").pipe(Argument.withDescription("SHA256:…, as keys list shows it"))
}, ({ dataDir, fingerprint }) =>
  Effect.gen(function*() {
    const keys = yield* loadKeys
    const removed = yield* keys.revoke(dataDir, fingerprint)
    if (yield* Json) return yield* printJson({ removed })
    for (const key of removed) yield* printLine(`revoked ${key.fingerprint} (${key.file}:${key.line})`)
  })).pipe(
    Command.withDescription("Trust the key with this fingerprint no longer; a running node cuts its connections")
  )

export const keysCommand = Command.make("keys").pipe(
  Command.withDescription("Show and edit a node's keys"),
  Command.withSubcommands([show, list, authorize, revoke])
)
