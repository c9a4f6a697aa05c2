/** Changes of the cluster, asked for on this node: joining, admitting others, handing leadership over. */
import { Duration, Effect } from "effect"
import { Schema } from "effect"
import type { AddMember, CallOptions, ChangeOptions, DistKv, JoinOptions } from "../DistKv.ts"
import {
  type ClusterError,
  type DistKvError,
  InvalidRequest,
  MembershipRejected,
  NoLeader,
  OutcomeUnknown
} from "../DistKvError.ts"
import { Address, NodeId, refusalText } from "../domain/Identity.ts"
import { findMember, type Member } from "../domain/Membership.ts"
import type { AdminCommand, AdminResult } from "../domain/PeerMessage.ts"
import type { Term } from "../domain/Position.ts"
import { parsePublicKey } from "../domain/PublicKeyText.ts"
import { admitted } from "../roles/ClientDesk.ts"
import type { RaftNode } from "./RaftNode.ts"
import { deadlineOf, flagOf, isObject } from "./Requests.ts"

/** How often a joining node looks whether it has been told of its admission. */
const lookEvery = Duration.millis(10)

const isNodeId = Schema.is(NodeId)
const isAddress = Schema.is(Address)

const memberNames = new Set<string>(
  ["id", "address", "publicKey", "learner"] satisfies ReadonlyArray<keyof AddMember>
)

const invalid = (message: string) => Effect.fail(new InvalidRequest({ message }))

/** Fails once this node has stopped: its role may have held the request, and it ends without a word. */
const ended = (node: RaftNode): Effect.Effect<never, ClusterError> =>
  Effect.andThen(
    Effect.exit(node.stopped),
    Effect.fail(new OutcomeUnknown({ message: "the node stopped while the change was under way; look at the members" }))
  )

/** Asks this node's leader, wherever it is. */
const ask = (node: RaftNode, command: AdminCommand, timeoutMs: number): Effect.Effect<AdminResult, ClusterError> => {
  const asked = Effect.callback<AdminResult, ClusterError>((resume) => {
    const refusal = node.refusal() ?? refusedNode(node)
    if (refusal !== null) return resume(Effect.fail(refusal))
    const request = admitted(node.state, {
      _tag: "Administer",
      command,
      deadline: node.state.parts.clock() + timeoutMs,
      hops: 0,
      done: (result) => resume(Effect.succeed(result))
    })
    if (request !== null) node.offer(request)
  })
  return Effect.raceFirst(asked, ended(node))
}

const clusterError = (error: DistKvError): ClusterError => {
  switch (error._tag) {
    case "InvalidRequest":
    case "NoLeader":
    case "DeadlineExceeded":
    case "Overloaded":
    case "StorageFailed":
    case "Shutdown":
    case "MembershipRejected":
    case "OutcomeUnknown":
    case "NotFound":
      return error
    default:
      return new OutcomeUnknown({ message: error.message })
  }
}

/** Why this node can ask nobody: the cluster refuses it. */
const refusedNode = (node: RaftNode): NoLeader | null => {
  const { refused } = node.state.belonging
  return refused === null ? null : new NoLeader({ message: refusalText[refused] })
}

const unexpected = (result: AdminResult): Effect.Effect<never, ClusterError> =>
  result._tag === "Failed"
    ? Effect.fail(clusterError(result.error))
    : Effect.fail(new NoLeader({ message: "the node that was asked does not lead, and knows nobody who does" }))

const addMember = (
  node: RaftNode,
  member: AddMember,
  options: CallOptions | undefined
): Effect.Effect<Member, ClusterError> => {
  const timeout = deadlineOf("call", options)
  if (timeout instanceof InvalidRequest) return Effect.fail(timeout)
  if (!isObject(member)) return invalid("a member is an object with its id, address and public key")
  for (const name in member) {
    if (!memberNames.has(name)) return invalid(`a member has no ${JSON.stringify(name)}`)
  }
  const { address, id } = member
  const publicKey = typeof member.publicKey === "string" ? parsePublicKey(member.publicKey) : null
  const learner = flagOf("learner", member.learner)
  if (typeof learner !== "boolean") return Effect.fail(learner)
  if (!isNodeId(id)) return invalid("a node id has 1 to 64 letters, digits, dots, dashes or underscores")
  if (!isAddress(address)) return invalid("an address is host:port")
  if (publicKey === null) return invalid("a public key is its type and its base64, whole, as in a .pub file")
  const command: AdminCommand = { _tag: "AddMember", id, address, publicKey, learner }
  return Effect.flatMap(
    ask(node, command, timeout),
    (result) => result._tag === "Admitted" ? Effect.succeed(result.member) : unexpected(result)
  )
}

/** Removes, promotes or demotes a member. */
const change = <A>(
  node: RaftNode,
  id: string,
  options: CallOptions | undefined,
  commandOf: (id: NodeId) => AdminCommand,
  valueOf: (result: AdminResult) => A | undefined
): Effect.Effect<A, ClusterError> => {
  const timeout = deadlineOf("change", options)
  if (timeout instanceof InvalidRequest) return Effect.fail(timeout)
  if (!isNodeId(id)) return invalid("this is no node id")
  return Effect.flatMap(ask(node, commandOf(id), timeout), (result) => {
    const value = valueOf(result)
    return value === undefined ? unexpected(result) : Effect.succeed(value)
  })
}

const memberOf = (result: AdminResult): Member | undefined => result._tag === "Changed" ? result.member : undefined

const removeMember = (
  node: RaftNode,
  id: string,
  options: ChangeOptions | undefined
): Effect.Effect<void, ClusterError> => {
  const commandOf = (id: NodeId): AdminCommand => ({ _tag: "RemoveMember", id, force: options?.force ?? false })
  return Effect.asVoid(
    change(node, id, options, commandOf, (result) => result._tag === "Removed" ? result.id : undefined)
  )
}

const promoteMember = (
  node: RaftNode,
  id: string,
  options: ChangeOptions | undefined
): Effect.Effect<Member, ClusterError> => {
  const commandOf = (id: NodeId): AdminCommand => ({ _tag: "PromoteMember", id, force: options?.force ?? false })
  return change(node, id, options, commandOf, memberOf)
}

const demoteMember = (
  node: RaftNode,
  id: string,
  options: ChangeOptions | undefined
): Effect.Effect<Member, ClusterError> => {
  const commandOf = (id: NodeId): AdminCommand => ({ _tag: "DemoteMember", id, force: options?.force ?? false })
  return change(node, id, options, commandOf, memberOf)
}

const updateAddress = (
  node: RaftNode,
  id: string,
  address: string,
  options: CallOptions | undefined
): Effect.Effect<Member, ClusterError> =>
  isAddress(address)
    ? change(node, id, options, (id) => ({ _tag: "UpdateAddress", id, address }), memberOf)
    : invalid("an address is host:port")

export const transfer = (
  node: RaftNode,
  to: string | undefined,
  options: CallOptions | undefined
): Effect.Effect<{ readonly leader: NodeId; readonly term: Term }, ClusterError> => {
  const timeout = deadlineOf("call", options)
  if (timeout instanceof InvalidRequest) return Effect.fail(timeout)
  if (to !== undefined && !isNodeId(to)) return invalid("this is no node id")
  return Effect.flatMap(
    ask(node, { _tag: "Transfer", to: to ?? null }, timeout),
    (result) =>
      result._tag === "Transferred" ? Effect.succeed({ leader: result.leader, term: result.term }) : unexpected(result)
  )
}

/** Asks the member at `address` to be admitted, and waits (within the deadline) until this node counts as asked for. */
export const join = Effect.fnUntraced(function*(
  node: RaftNode,
  address: string,
  options: JoinOptions | undefined
): Effect.fn.Return<Member, ClusterError> {
  const timeout = deadlineOf("join", options)
  if (timeout instanceof InvalidRequest) return yield* timeout
  if (!isAddress(address)) return yield* invalid("an address is host:port")
  const refusal = node.refusal()
  if (refusal !== null) return yield* refusal
  const { state } = node
  const { refused } = state.belonging
  if (refused !== null) return yield* new MembershipRejected({ reason: refusalText[refused], final: true })
  if (state.clusterId !== null && findMember(state.membership, state.id) !== undefined) {
    return yield* new MembershipRejected({ reason: "this node belongs to a cluster already", final: true })
  }
  const deadline = state.parts.clock() + timeout
  const learner = flagOf("learner", options?.learner)
  if (typeof learner !== "boolean") return yield* learner
  const result = yield* node.transport.call(address, {
    _tag: "Join",
    id: state.id,
    incarnation: node.incarnation,
    publicKey: state.parts.publicKey,
    address: node.address,
    http: node.http,
    learner
  }, timeout)
  if (result._tag !== "Admitted") return yield* unexpected(result)
  node.offer({ _tag: "Welcomed", members: result.members ?? [] })
  // Admitted as a learner; the leader promotes it by itself when it has caught up and everybody reaches it.
  while (state.parts.clock() < deadline) {
    const own = findMember(state.membership, state.id)
    if (own !== undefined && (learner || own.standing === "voter")) return own
    yield* Effect.sleep(lookEvery)
  }
  return findMember(state.membership, state.id) ?? result.member
})

/** The calls that change the membership. */
export const memberCalls = (node: RaftNode): Omit<DistKv["Service"]["members"], "list"> => ({
  add: (member, options) => addMember(node, member, options),
  remove: (id, options) => removeMember(node, id, options),
  promote: (id, options) => promoteMember(node, id, options),
  demote: (id, options) => demoteMember(node, id, options),
  updateAddress: (id, address, options) => updateAddress(node, id, address, options)
})
