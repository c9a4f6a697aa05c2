import { TransportStation } from "@distkv/core/testing"
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { connected, makeConnected } from "./support/connected.ts"
import { makeAlone } from "./support/nodes.ts"
import { enter, makeKey, portOf } from "./support/raw.ts"

const { clusterA, identityOf, start, until } = TransportStation

describe("the files of trusted keys", () => {
  // fails-with: revoked-connections-stay
  it.live("a revoked key's connections are cut, and it is refused, until it is authorised again (A12)", () =>
    Effect.gen(function*() {
      const { far, near, one, other } = yield* makeConnected()
      yield* Keys.revoke(near.dir, far.key.fingerprint)
      yield* until("the connection is cut", () => !connected(one) && !connected(other))
      assert.isAtLeast(near.ssh.stats().revoked, 1)
      assert.isFalse(one.open.links()[0]?.accepts)
      assert.isTrue(other.open.links()[0]?.accepts)
      yield* until("it is told why", () => far.logged.some((line) => line.includes("does not accept this node's key")))
      yield* Keys.authorize(near.dir, far.key.line)
      yield* until("they are connected again", () => connected(one) && connected(other))
    }))

  it.live("an emptied file trusts nobody, a removed one neither, and one that cannot be read keeps its keys", () =>
    Effect.gen(function*() {
      const { near, one } = yield* makeConnected({ keyPollInterval: 3_600_000 })
      const file = path.join(near.dir, "authorized.keys")
      const text = fs.readFileSync(file, "utf8")
      fs.rmSync(file)
      fs.mkdirSync(file)
      yield* near.ssh.reload
      assert.isTrue(connected(one))
      assert.isTrue(near.logged.some((line) => line.includes("cannot be read")))
      fs.rmdirSync(file)
      fs.writeFileSync(file, "")
      yield* near.ssh.reload
      yield* until("all are cut off", () => !connected(one))
      fs.writeFileSync(file, text)
      yield* near.ssh.reload
      yield* until("all are back", () => connected(one))
      fs.rmSync(file)
      yield* near.ssh.reload
      yield* until("all are cut off again", () => !connected(one))
    }))

  it.live("a file that was empty for a moment only cuts nobody off", () =>
    Effect.gen(function*() {
      const { near, one } = yield* makeConnected({ keyPollInterval: 3_600_000 })
      const file = path.join(near.dir, "authorized.keys")
      const text = fs.readFileSync(file, "utf8")
      fs.writeFileSync(file, "")
      const reload = yield* Effect.forkChild(near.ssh.reload, { startImmediately: true })
      assert.isFalse(one.open.links()[0]?.accepts, "the empty file was read")
      fs.writeFileSync(file, text)
      yield* Fiber.join(reload)
      assert.isTrue(connected(one))
      assert.strictEqual(near.ssh.stats().revoked, 0)
    }))

  it.live("lines with options and unknown types are not trusted, and the log says why", () =>
    Effect.gen(function*() {
      const node = yield* makeAlone()
      const key = makeKey()
      fs.appendFileSync(path.join(node.dir, "authorized.keys"), `from="127.0.0.1" ${key.publicKey}\nssh-dss AAAA\n`)
      yield* until("both are logged", () => node.logged.filter((line) => line.includes("is not trusted")).length === 2)
      assert.isTrue(node.logged.some((line) => line.includes("line 2") && line.includes("options")))
      const station = yield* start(node.transport, identityOf("n1", clusterA))
      assert.isTrue((yield* Effect.exit(enter(portOf(station.open.address), key)))._tag === "Failure")
      fs.writeFileSync(path.join(node.dir, "authenticated.key"), `${key.publicKey}\n`)
      assert.isTrue((yield* enter(portOf(station.open.address), key)).ready(), "authenticated.key is read too")
    }))
})
