/** The laws of the `Transport` port, to be run on every implementation. They need a clock that runs. */
import { Effect, type Scope } from "effect"
import type { Address, Incarnation, NodeId, PublicKey } from "../../domain/Identity.ts"
import { encodeMessage } from "../../domain/PeerCodec.ts"
import { removedNotice } from "../../domain/PeerDirectory.ts"
import type { AdminResult, Envelope } from "../../domain/PeerMessage.ts"
import { expectEqual } from "./StoreLaw.ts"
import {
  answerWith,
  append,
  clusterA,
  clusterB,
  connect,
  expect,
  identityOf,
  joinOf,
  memberOf,
  membershipOf,
  samples,
  say,
  start,
  type Station,
  type TransportHarness,
  until,
  vote
} from "./TransportStation.ts"

export type { TransportHarness } from "./TransportStation.ts"

/** One law. `check` wants a harness that was never used, and fails when the law does not hold. */
export interface TransportLaw {
  readonly name: string
  readonly check: (harness: TransportHarness) => Effect.Effect<void, unknown, Scope.Scope>
}

const law = (name: string, check: TransportLaw["check"]): TransportLaw => ({ name, check })

/** Stations n1, n2, … of one cluster that know nothing of each other yet. */
const stations = Effect.fnUntraced(function*(harness: TransportHarness, count: number) {
  const transports = yield* harness.transports(count)
  return yield* Effect.forEach(transports, (transport, i) => start(transport, identityOf(`n${i + 1}`, clusterA)))
})

const pair = Effect.fnUntraced(function*(harness: TransportHarness) {
  const [one, other] = yield* stations(harness, 2)
  if (one === undefined || other === undefined) return yield* Effect.die("the harness makes too few transports")
  return [one, other] as const
})

const three = Effect.fnUntraced(function*(harness: TransportHarness) {
  const [first, second, third] = yield* stations(harness, 3)
  if (first === undefined || second === undefined || third === undefined) {
    return yield* Effect.die("the harness makes too few transports")
  }
  return [first, second, third] as const
})

const bytesOf = ({ message }: Envelope) => encodeMessage(message)
const from = (station: Station, sender: NodeId) => station.heard.filter((envelope) => envelope.from === sender)

/** Keeps trying to be heard for several heartbeats, each time after an answered call, so that silence means refusal. */
const shoutInVain = Effect.fnUntraced(function*(shouter: Station, target: Station) {
  answerWith(target, { _tag: "NotLeader" })
  for (let i = 0; i < 10; i++) {
    say(shouter, target, vote(1))
    yield* shouter.open.call(target.open.address, joinOf(shouter), 5000)
    yield* Effect.sleep(10)
  }
  yield* expect(
    "a node was heard that has no right to be",
    target.heard.every(({ message }) => message._tag === "AdminRequest")
  )
})

const carrying: ReadonlyArray<TransportLaw> = [
  law(
    "every kind of message arrives unchanged, in order, with the sender that its key proves",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        yield* connect(one, other)
        const sent = samples(one.id)
        for (const message of sent) yield* expect(`${message._tag} was dropped`, one.open.send(other.id, message))
        one.open.flush()
        yield* until("everything arrived", () => other.heard.length === sent.length)
        const byKind = (messages: ReadonlyArray<Uint8Array>) =>
          messages.map((bytes) => [...bytes]).sort((left, right) => (left[0] ?? 0) - (right[0] ?? 0))
        yield* expectEqual("messages", byKind(other.heard.map(bytesOf)), byKind(sent.map(encodeMessage)))
        for (const { clusterId, from, incarnation, publicKey } of other.heard) {
          yield* expectEqual("sender", { clusterId, from, incarnation, publicKey }, {
            clusterId: clusterA,
            from: one.id,
            incarnation: one.identity.incarnation,
            publicKey: one.transport.publicKey
          })
        }
      })
  ),

  law(
    "many messages of one turn, small and large, arrive once and in order, both ways at once",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        yield* connect(one, other)
        for (const [speaker, hearer] of [[one, other], [other, one]] as const) {
          for (let i = 0; i < 500; i++) {
            speaker.open.send(hearer.id, vote(i))
            if (i % 100 === 0) speaker.open.send(hearer.id, append(900_000))
          }
          speaker.open.flush()
        }
        yield* until("everything arrived", () => one.heard.length === 505 && other.heard.length === 505)
        for (const hearer of [one, other]) {
          const numbers = hearer.heard.flatMap(({ message }) => message._tag === "VoteRequest" ? [message.term] : [])
          yield* expectEqual("order", numbers, Array.from({ length: 500 }, (_, i) => i))
        }
      })
  ),

  law("send and flush deliver nothing before they return", (harness) =>
    Effect.gen(function*() {
      const [one, other] = yield* pair(harness)
      yield* connect(one, other)
      say(one, other, vote(1))
      yield* expectEqual("heard at once", other.heard.length, 0)
      yield* until("it arrived", () => other.heard.length === 1)
    })),

  law(
    "a message to a node that is unknown or away is dropped at once, and counted",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        yield* expect("sent to an unknown node", !say(one, "nobody" as NodeId, vote(1)))
        yield* connect(one, other)
        yield* other.close
        yield* until("the loss was noticed", () => !say(one, other, vote(2)))
        const traffic = one.open.traffic().find(({ id }) => id === other.id)
        yield* expect("dropped messages were not counted", (traffic?.droppedMessages ?? 0) >= 1)
        yield* expect("still called connected", traffic?.connected === false)
      })
  ),

  law("what waits for one peer is bounded, and holds up nobody else", (harness) =>
    Effect.gen(function*() {
      const [one, other, third] = yield* three(harness)
      yield* connect(one, other, third)
      const large = append(1_000_000)
      let sent = 0
      while (sent < 100 && one.open.send(other.id, large)) sent++
      yield* expect("a hundred megabytes were taken in", sent < 100)
      yield* expect("not even a frame was taken in", sent >= 4)
      one.open.flush()
      yield* expect("another peer was held up", say(one, third, vote(1)))
      yield* until("what was taken in arrived", () => other.heard.length === sent && third.heard.length === 1)
      yield* expectEqual("dropped", one.open.traffic().map(({ droppedMessages }) => droppedMessages), [1, 0])
      yield* until("there is room again", () => say(one, other, vote(2)))
    })),

  law(
    "a closed node hears nothing more, and is heard again once it is back at its address",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        yield* connect(one, other)
        yield* other.close
        yield* until("the loss was noticed", () => !say(one, other, vote(1)))
        const port = Number(other.open.address.split(":").at(-1))
        const back = yield* start(other.transport, identityOf("n2", clusterA, port))
        yield* expectEqual("address", back.open.address, other.open.address)
        back.open.setMembership(membershipOf(memberOf(one), memberOf(back)))
        yield* until("connected again", () => back.open.links().every((link) => link.connected))
        yield* until("heard again", () => say(back, one, vote(2)) && from(one, back.id).length > 0)
        yield* until("hears again", () => say(one, back, vote(3)) && back.heard.length > 0)
        yield* expectEqual("heard after the end", other.heard.length, 0)
      })
  )
]

const admitting: ReadonlyArray<TransportLaw> = [
  law("a key that is no member may ask to join, and is not heard otherwise", (harness) =>
    Effect.gen(function*() {
      const [one, member, third] = yield* three(harness)
      yield* third.close
      const stranger = yield* start(third.transport, identityOf("n3", null))
      one.open.setMembership(membershipOf(memberOf(one), memberOf(member)))
      stranger.open.setMembership(membershipOf(memberOf(one), memberOf(stranger)))
      yield* shoutInVain(stranger, one)
      yield* expectEqual("joins", from(one, stranger.id).length, 10)
      const before = one.heard.length
      const transfer = { _tag: "Transfer", to: null } as const
      const result = yield* Effect.exit(stranger.open.call(one.open.address, transfer, 300))
      yield* expect("another request was answered", result._tag === "Failure" || result.value._tag === "Failed")
      const forged = { ...joinOf(stranger), publicKey: member.transport.publicKey }
      yield* Effect.exit(stranger.open.call(one.open.address, forged, 300))
      yield* expectEqual("heard", one.heard.length, before)
    })),

  law(
    "an answer to a call goes to the one who asked, even when he uses a member's name",
    (harness) =>
      Effect.gen(function*() {
        const [one, member, third] = yield* three(harness)
        yield* third.close
        const impostor = yield* start(third.transport, identityOf("n2", null))
        one.open.setMembership(membershipOf(memberOf(one), memberOf(member)))
        member.open.setMembership(membershipOf(memberOf(one), memberOf(member)))
        yield* until("the member is connected", () => member.open.links().every((link) => link.connected))
        const answer: AdminResult = { _tag: "NotLeader" }
        answerWith(one, answer)
        yield* expectEqual("answer", yield* impostor.open.call(one.open.address, joinOf(impostor), 5000), answer)
        say(one, member, vote(1))
        yield* until("the member hears", () => member.heard.length > 0)
        yield* expectEqual("the member heard", member.heard.map(({ message }) => message._tag), ["VoteRequest"])
      })
  ),

  law(
    "a node that belongs to no cluster hears every trusted key, and can answer it",
    (harness) =>
      Effect.gen(function*() {
        const [transport, other] = yield* harness.transports(2)
        if (transport === undefined || other === undefined) return yield* Effect.die("too few transports")
        const leader = yield* start(transport, identityOf("n1", clusterA))
        const fresh = yield* start(other, identityOf("n2", null))
        fresh.answer = ({ from, message }) => void say(fresh, from, message)
        leader.open.setMembership(membershipOf(memberOf(leader), memberOf(fresh)))
        yield* until("it answers", () => say(leader, fresh, vote(1)) && leader.heard.length > 0)
        yield* expectEqual("its cluster", leader.heard[0]?.clusterId, null)
        fresh.open.setClusterId(clusterA)
        fresh.open.setMembership(membershipOf(memberOf(leader), memberOf(fresh)))
        yield* until(
          "it says its cluster",
          () => say(leader, fresh, vote(2)) && leader.heard.some(({ clusterId }) => clusterId === clusterA)
        )
      })
  ),

  law(
    "a member that was away hears one that was added to its cluster meanwhile, unless it uses another's key",
    (harness) =>
      Effect.gen(function*() {
        const [away, other, added] = yield* three(harness)
        away.open.setMembership(membershipOf(memberOf(away), memberOf(other)))
        added.open.setMembership(membershipOf(memberOf(away), memberOf(other), memberOf(added)))
        away.answer = ({ from, message }) => void say(away, from, message)
        yield* until("it is answered", () => say(added, away, vote(1)) && added.heard.length > 0)
        away.open.setMembership(membershipOf(memberOf(away), { ...memberOf(added), id: other.id }))
        yield* until("it is cut off", () => !say(added, away, vote(2)))
        away.heard.length = 0
        yield* shoutInVain(added, away)
      })
  ),

  law("a node of another cluster is refused", (harness) =>
    Effect.gen(function*() {
      const [transport, other] = yield* harness.transports(2)
      if (transport === undefined || other === undefined) return yield* Effect.die("too few transports")
      const one = yield* start(transport, identityOf("n1", clusterA))
      const foreign = yield* start(other, identityOf("n2", clusterB))
      const membership = membershipOf(memberOf(one), memberOf(foreign))
      one.open.setMembership(membership)
      foreign.open.setMembership(membership)
      answerWith(one, { _tag: "NotLeader" })
      for (let i = 0; i < 10; i++) {
        yield* expect("sent to another cluster", !say(one, foreign, vote(1)) && !say(foreign, one, vote(1)))
        const result = yield* Effect.exit(foreign.open.call(one.open.address, joinOf(foreign), 60))
        yield* expect("answered", result._tag === "Failure" || result.value._tag === "Failed")
      }
      yield* expectEqual("heard", [one.heard.length, foreign.heard.length], [0, 0])
    })),

  law(
    "a name counts only with its member's key, and a key only with its member's run of the directory",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        other.open.setMembership(membershipOf(memberOf(one), memberOf(other)))
        const keyOfSomeone = `${one.transport.publicKey}x` as PublicKey
        one.open.setMembership(membershipOf(memberOf(one), { ...memberOf(other), publicKey: keyOfSomeone }))
        yield* shoutInVain(other, one)
        const incarnation = "f".repeat(32) as Incarnation
        one.open.setMembership(membershipOf(memberOf(one), { ...memberOf(other), incarnation }))
        yield* shoutInVain(other, one)
        one.open.setMembership(membershipOf(memberOf(one), memberOf(other)))
        one.heard.length = 0
        yield* until("heard as itself", () => say(other, one, vote(9)) && one.heard.length > 0)
      })
  ),

  law(
    "a removed member is told so and cut off; from then on it may only ask to join",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        yield* connect(one, other)
        const tombstones = [{ id: other.id, publicKey: other.transport.publicKey }]
        one.open.setMembership({ ...membershipOf(memberOf(one)), tombstones })
        yield* until("it is cut off", () => !say(other, one, vote(1)))
        yield* until("it is told", () => other.heard.some(({ message }) => message._tag === "Refused"))
        yield* expectEqual("told", other.heard.map(({ message }) => [...encodeMessage(message)])[0], [
          ...encodeMessage(removedNotice)
        ])
        one.heard.length = 0
        yield* shoutInVain(other, one)
      })
  ),

  law(
    "a removed member that comes back is told so, under its old id with a new key too",
    (harness) =>
      Effect.gen(function*() {
        const [one, other] = yield* pair(harness)
        const tombstones = [{ id: other.id, publicKey: `${other.transport.publicKey}x` as PublicKey }]
        one.open.setMembership({ ...membershipOf(memberOf(one)), tombstones })
        other.open.setMembership(membershipOf(memberOf(one), memberOf(other)))
        yield* until("it is told", () => !say(other, one, vote(1)) && other.heard.length > 0)
        yield* expectEqual("told by", other.heard[0]?.from, one.id)
        yield* expect("it was heard", one.heard.length === 0)
      })
  ),

  law("a member says where it is, and the others know while they are connected", (harness) =>
    Effect.gen(function*() {
      const [one, other] = yield* pair(harness)
      const place = { address: "elsewhere:4711" as Address, http: "http://elsewhere:80" }
      one.open.introduce(place)
      other.open.introduce({ address: other.open.address, http: null })
      yield* connect(one, other)
      yield* until("both know", () => other.open.introductions().size === 1 && one.open.introductions().size === 1)
      yield* expectEqual("where one is", other.open.introductions().get(one.id), place)
      yield* expectEqual("where the other is", one.open.introductions().get(other.id), {
        address: other.open.address,
        http: null
      })
      yield* one.close
      yield* until("it is forgotten", () => other.open.introductions().size === 0)
    }))
]

const asking: ReadonlyArray<TransportLaw> = [
  law(
    "a call that reaches nobody fails with NoLeader, and one without answer ends at its deadline",
    (harness) =>
      Effect.gen(function*() {
        const [one, other, third] = yield* three(harness)
        const { address } = third.open
        yield* third.close
        const nobody = yield* Effect.exit(one.open.call(address, joinOf(one), 5000))
        yield* expect("reached nobody", nobody._tag === "Failure")
        const error = yield* Effect.flip(one.open.call(address, joinOf(one), 5000))
        yield* expectEqual("error", error._tag, "NoLeader")
        const silent = yield* one.open.call(other.open.address, joinOf(one), 150).pipe(Effect.timeout(5000))
        yield* expectEqual("without answer", silent._tag === "Failed" ? silent.error._tag : silent, "OutcomeUnknown")
        yield* expectEqual("asked", other.heard.length, 1)
        const nonsense = yield* Effect.flip(one.open.call("nowhere" as Address, joinOf(one), 100))
        yield* expect("an address that is none", nonsense._tag === "NoLeader" || nonsense._tag === "InvalidRequest")
      })
  ),

  law("many calls at once are each answered, and interrupted ones do no harm", (harness) =>
    Effect.gen(function*() {
      const [one, other] = yield* pair(harness)
      let asked = 0
      other.answer = ({ from, message }) => {
        if (message._tag !== "AdminRequest") return
        const result: AdminResult = { _tag: "Transferred", leader: other.id, term: ++asked as never }
        say(other, from, { _tag: "AdminReply", id: message.id, result })
      }
      const ask = one.open.call(other.open.address, joinOf(one), 5000)
      yield* Effect.forEach([1, 2, 3, 4, 5], () => ask.pipe(Effect.timeoutOption(1)), { concurrency: "unbounded" })
      const answers = yield* Effect.forEach([1, 2, 3, 4, 5], () => ask, { concurrency: "unbounded" })
      const terms = answers.map((answer) => answer._tag === "Transferred" ? answer.term : -1)
      yield* expectEqual("different answers", new Set(terms).size, 5)
    })),

  law(
    "links tell which members' keys are accepted and who is connected, in order of id",
    (harness) =>
      Effect.gen(function*() {
        const [one, other, third] = yield* three(harness)
        const strange = { ...memberOf(third), id: "n0" as NodeId, publicKey: "ssh-ed25519 c3RyYW5nZQ==" as PublicKey }
        yield* connect(one, other)
        one.open.setMembership(membershipOf(memberOf(one), memberOf(other), strange))
        yield* expectEqual("ids", one.open.links().map(({ id }) => id), ["n0", "n2"])
        yield* expectEqual("connected", one.open.links().map(({ connected }) => connected), [false, true])
        yield* expectEqual("accepted", one.open.links().at(-1)?.accepts, true)
      })
  )
]

export const transportLaws: ReadonlyArray<TransportLaw> = [...carrying, ...admitting, ...asking]
