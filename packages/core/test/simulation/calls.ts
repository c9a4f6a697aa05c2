/** Calls of the store as effects that a `SimCluster` runs on a node, and log entries to prepare disks with. */
import { Cause, Effect, Exit } from "effect"
import { DistKv, type ReadOptions, type SetOptions } from "../../src/DistKv.ts"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { PeerMessage, PeerMessageOf } from "../../src/domain/PeerMessage.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import { addressOf } from "../../src/testing/Founding.ts"
import type { Packet } from "../../src/testing/NetworkFaults.ts"
import type { SimCluster } from "../../src/testing/SimCluster.ts"

export const set = (key: string, value: string, options?: SetOptions) =>
  Effect.flatMap(DistKv, (kv) => kv.set(key, value, options))

/** The value as text. */
export const get = (key: string, options?: ReadOptions) =>
  Effect.flatMap(DistKv, (kv) => Effect.map(kv.get(key, options), (entry) => Buffer.from(entry.value).toString()))

export const status = Effect.flatMap(DistKv, (kv) => kv.status)

/** The tag of the error that an exit carries; "success" where it carries none. */
export const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.squash(exit.cause)
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
}

/** An entry that puts `key`, at a place of the test's choosing. */
export const putEntry = (term: number, index: number, key: string, value = `${term}.${index}`): LogEntry =>
  stamp(
    encodeCommand({
      _tag: "Put",
      key: key as Key,
      value: Buffer.from(value),
      ifRevision: null,
      previous: false,
      leaseId: null
    }),
    term as Term,
    index as LogIndex
  )

export const voteRequest = (term: number, last: { term: number; index: number }): PeerMessageOf<"VoteRequest"> => ({
  _tag: "VoteRequest",
  term: term as Term,
  preVote: false,
  transfer: false,
  lastLog: { term: last.term as Term, index: last.index as LogIndex }
})

export const appendRequest = (
  term: number,
  previous: { term: number; index: number },
  entries: ReadonlyArray<LogEntry>,
  committed = 0,
  round = 1
): PeerMessageOf<"AppendRequest"> => ({
  _tag: "AppendRequest",
  term: term as Term,
  previous: { term: previous.term as Term, index: previous.index as LogIndex },
  committed: committed as LogIndex,
  round,
  entries
})

/** Notes everything that is sent from now on, and drops what `drops` selects. */
export const record = (cluster: SimCluster, drops: (packet: Packet) => boolean = () => false): Array<Packet> => {
  const packets: Array<Packet> = []
  cluster.network.filter = (packet) => {
    packets.push(packet)
    return drops(packet) ? "drop" : "deliver"
  }
  return packets
}

/** The messages of one kind that a node sent. */
export const sentBy = <Tag extends PeerMessage["_tag"]>(
  packets: ReadonlyArray<Packet>,
  from: string,
  tag: Tag
): ReadonlyArray<PeerMessageOf<Tag>> =>
  packets.filter((packet) => packet.from === from)
    .map((packet) => packet.message)
    .filter((message): message is PeerMessageOf<Tag> => message._tag === tag)

/** The voters of a three-node cluster that do not lead. */
export const followersOf = (cluster: SimCluster): readonly [string, string] => {
  const [a, b] = cluster.ids.filter((id) => id !== cluster.leader())
  return [a!, b!]
}

/** A cluster of three that has started, with its leader. */
export const leaderOf = (cluster: SimCluster): string => {
  cluster.start()
  return cluster.leader()!
}

/** Asks the member `id` to be admitted, and to stay a learner. */
export const joinAsLearner = (id: string) =>
  Effect.flatMap(DistKv, (kv) => kv.join(addressOf(id), { learner: true, timeout: 10_000 }))
