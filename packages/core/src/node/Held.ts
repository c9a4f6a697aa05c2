/** What lasts as long as a scope of its own, and is replaced as a whole. */
import { Effect, Exit, Scope } from "effect"

export class Held<A> {
  current: A | null = null
  private scope: Scope.Closeable | null = null

  /** Gives back what was held before, and holds what is made anew. */
  readonly replace = <E>(make: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
    Effect.gen({ self: this }, function*() {
      yield* this.release
      const scope = yield* Scope.make()
      this.scope = scope
      const made = yield* Scope.provide(make, scope)
      this.current = made
      return made
    })

  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const { scope } = this
    this.current = null
    this.scope = null
    return scope === null ? Effect.void : Scope.close(scope, Exit.void)
  })
}
