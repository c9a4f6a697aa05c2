/** The commands of a script, apart from its clients' calls. Times are in milliseconds, or in time-outs as `3T`. */
import { Effect } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import { crashPoints } from "../../src/testing/CrashPoint.ts"
import { conditionOf, numberOf } from "./conditions.ts"
import { forge, linkOf, patternOf } from "./packets.ts"
import { prepare } from "./preparing.ts"
import { ScriptFailed } from "./Script.ts"
import type { ScriptWorld } from "./ScriptWorld.ts"

type Words = ReadonlyArray<string>
type Command = (world: ScriptWorld, words: Words) => void

/** The election time-out of every script's cluster. */
const electionTimeoutMs = 300

export const millisOf = (text: string): number => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(T|ms|s)?$/.exec(text) ?? []
  if (amount === undefined) throw new ScriptFailed(`${text} is no time`)
  return Number(amount) * (unit === "T" ? electionTimeoutMs : unit === "s" ? 1000 : 1)
}

/** Limits of the settings that a script can set. */
const limitNames = new Map([
  ["log-window", "logWindowBytes"],
  ["inflight", "inflightBytes"],
  ["uncommitted", "uncommittedBytes"],
  ["log-entries", "logEntries"],
  ["log-bytes", "logBytes"],
  ["snapshot-rate", "snapshotBytesPerSecond"]
])

/** `name=value` options of `cluster`. */
const make: Command = (world, [nodes = "3", ...words]) => {
  const options = new Map(words.map((word) => word.split("=", 2) as [string, string]))
  const number = (name: string) => (options.has(name) ? Number(options.get(name)) : undefined)
  const limits: Record<string, number> = {}
  for (const name of options.keys()) {
    const limit = limitNames.get(name)
    if (limit !== undefined) limits[limit] = number(name)!
    else if (name !== "seed" && name !== "checkpoint") throw new ScriptFailed(`cluster knows no ${name}`)
  }
  const checkpointInterval = options.has("checkpoint") ? millisOf(options.get("checkpoint")!) : undefined
  world.make({ nodes: Number(nodes), seed: number("seed"), settings: { limits, checkpointInterval } })
}

const start: Command = (world, ids) => {
  const { cluster } = world
  const started = ids.length === 0 ? cluster.ids : ids
  for (const id of started) cluster.node(id).start()
  cluster.until(`${started.join(" ")} up`, () => started.every((id) => cluster.node(id).condition === "up"))
}

/** Waits until this node leads, while nobody else's campaign is heard. `unserved`: before it has committed. */
const elect: Command = (world, [id = "", mode]) => {
  world.electing = id
  const serves = () => mode === "unserved" || world.cluster.leaderServes()
  world.cluster.until(`${id} leading`, () => world.cluster.leader() === id && serves(), 30_000)
  world.electing = null
}

const expect: Command = (world, words) => {
  const seen = conditionOf(world, words)()
  if (seen !== null) throw new ScriptFailed(`expected ${words.join(" ")}, saw ${seen}`)
}

/** `until CONDITION [within TIME]`. */
const until: Command = (world, words) => {
  const at = words.indexOf("within")
  const limit = at < 0 ? 10_000 : millisOf(words[at + 1] ?? "")
  const condition = conditionOf(world, at < 0 ? words : words.slice(0, at))
  world.cluster.until(words.join(" "), () => condition() === null, limit)
}

/** Holds all the time: `always 5T leader n1`. */
const always: Command = (world, [time = "", ...words]) => {
  const condition = conditionOf(world, words)
  const end = world.cluster.now + millisOf(time)
  const broken = world.cluster.world.runWhile(end, () => condition() === null)
  world.cluster.check()
  if (broken) throw new ScriptFailed(`expected ${words.join(" ")} for ${time}, saw ${condition()}`)
}

const device = (world: ScriptWorld, [id = "", name = "log"]: Words) => {
  const { logDevice, stateDevice } = world.node(id).disk
  return name === "state" ? stateDevice : logDevice
}

const groupsOf = (words: Words): ReadonlyArray<Words> =>
  words.join(" ").split("|").map((group) => group.trim().split(/\s+/))

const heal: Command = (world, [link]) => {
  if (link === undefined) {
    world.cluster.heal()
    return
  }
  const [from, to] = linkOf(link)
  world.cluster.network.heal(from, to)
  world.cluster.network.heal(to, from)
}

const cut: Command = (world, links) => {
  for (const link of links) {
    const [from, to] = linkOf(link)
    const all = world.cluster.ids
    for (const a of from === "*" ? all : [from]) {
      for (const b of to === "*" ? all : [to]) if (a !== b) world.cluster.network.cut(a, b)
    }
  }
}

/** Messages recorded since the last mark arrive (again), in the order in which they were sent, or backwards. */
const replay: Command = (world, words) => {
  const isReverse = words[0] === "reverse"
  const matches = patternOf(isReverse ? words.slice(1) : words)
  const packets = world.packets.filter(matches)
  if (packets.length === 0) throw new ScriptFailed(`nothing of ${words.join(" ")} was sent`)
  for (const packet of isReverse ? packets.reverse() : packets) {
    world.cluster.network.redeliver(packet)
    world.cluster.check()
  }
}

const release: Command = (world, words) => {
  world.cluster.network.release(words.length === 0 ? undefined : patternOf(words))
  world.cluster.check()
}

const send: Command = (world, [link = "", ...message]) => {
  const [from, to] = linkOf(link)
  world.cluster.deliver(from, to, forge(message))
}

/** `let c = commit:n1`, used as `$c` and `$c+1` from then on. */
const remember: Command = (world, [name = "", , value = ""]) => {
  world.variables.set(name, numberOf(world, value))
}

/** `session s n1`: opens one on n1; `$s` is its number. */
const openSession: Command = (world, [name = "", id = ""]) => {
  const { session } = world.cluster.call(id, Effect.flatMap(DistKv, (kv) => kv.openSession()))
  world.variables.set(name, Number(session))
}

const onCrash: Command = (world, [id = "", what = "", name = "log"]) => {
  if (what !== "none" && what !== "all") throw new ScriptFailed(`a crash keeps none or all, not ${what}`)
  device(world, [id, name]).faults.onCrash = what
}

/** `crash-at n1 "install done" [2]`: power fails when its process passes this point (for the second time). */
const crashAt: Command = (world, [id = "", name = "", times = "1"]) => {
  const point = crashPoints.find((one) => one === name)
  if (point === undefined) throw new ScriptFailed(`${name} is no point: ${crashPoints.join(", ")}`)
  world.node(id).armCrash(point, Number(times), () => {})
}

/** `jump n1 3600s`, `jump n1 back 3600s`: the wall clock. */
const jump: Command = (world, [id = "", ...words]) =>
  world.node(id).host?.jumpWallClock(words[0] === "back" ? -millisOf(words[1] ?? "") : millisOf(words[0] ?? ""))

const addNode: Command = (world, [id = "", mode]) => {
  world.cluster.addNode(id, mode === "await" ? "await" : undefined)
  world.calm(id)
  world.cluster.restart(id)
}

const each = (ids: Words, act: (id: string) => void) => ids.forEach((id) => act(id))

export const commands: Record<string, Command> = {
  cluster: make,
  prepare,
  start,
  elect,
  expect,
  until,
  always,
  partition: (world, words) => world.cluster.partition(...groupsOf(words)),
  isolate: (world, [id = ""]) => world.cluster.isolate(id),
  cut,
  heal,
  drop: (world, words) => world.rule("drop", patternOf(words)),
  hold: (world, words) => world.rule("hold", patternOf(words)),
  deliver: (world, words) => world.rule("deliver", patternOf(words)),
  pass: (world) => world.pass(),
  release,
  replay,
  send,
  let: remember,
  session: openSession,
  mark: (world) => void (world.packets = []),
  run: (world, [time = ""]) => world.cluster.run(millisOf(time)),
  crash: (world, ids) => each(ids, (id) => world.cluster.crash(id)),
  restart: (world, ids) => each(ids, (id) => world.cluster.restart(id)),
  boot: (world, ids) => each(ids, (id) => world.cluster.restart(id, false)),
  close: (world, ids) => each(ids, (id) => world.cluster.close(id)),
  pause: (world, ids) => each(ids, (id) => world.cluster.pause(id)),
  resume: (world, ids) => each(ids, (id) => world.cluster.resume(id)),
  wipe: (world, ids) => each(ids, (id) => world.node(id).disk.wipe()),
  hang: (world, words) => device(world, words).hang(),
  unhang: (world, words) => device(world, words).resume(),
  fail: (world, words) => void (device(world, words).faults.failNext = 1),
  slow: (world, [id = "", time = "", name = ""]) =>
    void (device(world, [id, name === "" ? "log" : name]).faults.minDelayMs = millisOf(time)),
  jump,
  delay: (world, [time = ""]) => void (world.cluster.network.faults.minDelayMs = millisOf(time)),
  bandwidth: (world, [bytesPerSecond = ""]) =>
    void (world.cluster.network.faults.bytesPerMs = bytesPerSecond === "all"
      ? Infinity
      : Number(bytesPerSecond) / 1000),
  "on-crash": onCrash,
  "crash-at": crashAt,
  flip: (world, [id = "", index = "", bit = "77"]) => world.node(id).disk.flipBit(Number(index) as never, Number(bit)),
  space: (world, [id = "", bytes = ""]) => void (world.node(id).disk.spaceLeft = Number(bytes)),
  refuse: (world, [id = "", peer = ""]) => world.cluster.network.setAccepts(id, peer, false),
  "may-end": (world, ids) => each(ids, (id) => void (world.node(id).onEnd = () => {})),
  accept: (world, [id = "", peer = ""]) => world.cluster.network.setAccepts(id, peer, true),
  "add-node": addNode,
  trace: (world) => world.trace.start(),
  untrace: (world) => world.trace.stop(),
  "stay-broken": (world) => void (world.converges = false)
}
