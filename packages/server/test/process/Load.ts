/** Clients that write while things go wrong, remember what was acknowledged to them, and audit it at the end. */
import { Deferred, Duration, Effect, Fiber, Ref, type Scope } from "effect"
import { clientOf } from "./TestCluster.ts"
import { type NodeProcess, TestFailed } from "./TestNode.ts"

/** What one client knows of its own key: nobody else writes it. */
interface Knowledge {
  readonly key: string
  /** The last value acknowledged. */
  acknowledged: number
  /** The last value that may have been written. */
  attempted: number
}

export interface Load {
  /** Writes acknowledged so far, over all clients. */
  readonly acknowledged: Effect.Effect<number>
  /** Waits until this many more writes have been acknowledged. */
  readonly more: (count: number) => Effect.Effect<void>
  /** Ends the writing and compares what is there with what was acknowledged; gives the number of writes. */
  readonly audit: (nodes: Iterable<NodeProcess>) => Effect.Effect<number, TestFailed>
}

/**
 * Starts `clients` writers. Each sets its own keys below `name`, one after another, to rising numbers: `<client>/last`
 * every time, and a key of its own for every number, so that a write lost in the middle shows too.
 */
export const startLoad = Effect.fnUntraced(function*(
  name: string,
  nodes: () => Iterable<NodeProcess>,
  clients: number
): Effect.fn.Return<Load, never, Scope.Scope> {
  const total = yield* Ref.make(0)
  const stop = yield* Deferred.make<void>()
  const acknowledgedKeys = new Map<string, string>()
  const known: Array<Knowledge> = []
  const write = Effect.fnUntraced(function*(self: Knowledge) {
    const client = yield* clientOf(nodes())
    const value = String(self.attempted + 1)
    self.attempted += 1
    const own = `${self.key}/${value}`
    const done = yield* Effect.result(Effect.andThen(
      client.set(`${self.key}/last`, value, { timeout: Duration.seconds(2) }),
      client.set(own, value, { timeout: Duration.seconds(2) })
    ))
    if (done._tag === "Failure") return yield* Effect.sleep(Duration.millis(20))
    self.acknowledged = self.attempted
    acknowledgedKeys.set(own, value)
    yield* Ref.update(total, (count) => count + 1)
  })
  const writers: Array<Fiber.Fiber<void>> = []
  for (let i = 0; i < clients; i++) {
    const self: Knowledge = { key: `${name}/${i}`, acknowledged: 0, attempted: 0 }
    known.push(self)
    writers.push(
      yield* Effect.forkScoped(Effect.whileLoop({
        while: () => !Deferred.isDoneUnsafe(stop),
        body: () => write(self),
        step: () => undefined
      }))
    )
  }
  const more = Effect.fnUntraced(function*(count: number) {
    const goal = (yield* Ref.get(total)) + count
    while ((yield* Ref.get(total)) < goal) yield* Effect.sleep(Duration.millis(10))
  })
  const audit = Effect.fnUntraced(function*(live: Iterable<NodeProcess>) {
    yield* Deferred.succeed(stop, undefined)
    for (const writer of writers) yield* Fiber.join(writer)
    yield* compare(live, `${name}/`, known, acknowledgedKeys)
    return acknowledgedKeys.size
  })
  return { acknowledged: Ref.get(total), more, audit }
})

const compare = Effect.fnUntraced(function*(
  nodes: Iterable<NodeProcess>,
  prefix: string,
  known: ReadonlyArray<Knowledge>,
  acknowledged: ReadonlyMap<string, string>
): Effect.fn.Return<void, TestFailed> {
  const client = yield* clientOf(nodes)
  const found = new Map<string, string>()
  let after: string | undefined
  do {
    const page = yield* Effect.mapError(
      client.list({ prefix, after, timeout: Duration.seconds(10) }),
      (error) => new TestFailed({ message: `the audit cannot read: ${error.message}` })
    )
    for (const entry of page.entries) found.set(entry.key, new TextDecoder().decode(entry.value))
    after = page.more ? page.entries.at(-1)?.key : undefined
  } while (after !== undefined)
  const lost = Array.from(acknowledged).filter(([key, value]) => found.get(key) !== value)
  const wrong = known.filter(({ acknowledged, attempted, key }) => {
    const last = Number(found.get(`${key}/last`) ?? 0)
    return last < acknowledged || last > attempted
  })
  if (lost.length + wrong.length > 0) {
    return yield* new TestFailed({
      message: `of ${acknowledged.size} acknowledged writes ${lost.length} are lost (${
        lost.slice(0, 5).map(([key]) => key).join(", ")
      }), and ${wrong.length} keys have a value that was never last: ${JSON.stringify(wrong)}`
    })
  }
})
