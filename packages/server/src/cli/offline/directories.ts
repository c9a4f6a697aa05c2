/** Making a data directory beside its place, and putting it there in one step. */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { type CommandFailed, failed } from "../ExitStatus.ts"

/** What may be in a directory that has no data yet: keys, and the empty file by which directories are locked. */
const keyFiles = ["id_ed25519", "id_ed25519.pub", "id_rsa", "id_rsa.pub", "authorized.keys", "authenticated.key"]
const harmless: ReadonlySet<string> = new Set([...keyFiles, "lock"])

const reasonOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** Runs file work whose failure ends the command. */
export const onFiles = <A>(doing: string, run: () => Promise<A>): Effect.Effect<A, CommandFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => failed(`${doing}: ${reasonOf(cause)}`) })

const namesIn = async (directory: string): Promise<ReadonlyArray<string> | null> => {
  try {
    return await fs.readdir(directory)
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null
    throw cause
  }
}

/** Refuses a directory that is not there. */
export const checkThere = (directory: string): Effect.Effect<void, CommandFailed> =>
  Effect.flatMap(
    onFiles(`${directory} cannot be read`, () => namesIn(directory)),
    (names) => names === null ? Effect.fail(failed(`there is no directory ${directory}`)) : Effect.void
  )

/** Refuses a directory that holds more than keys. */
export const checkWithoutData = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<void, CommandFailed> {
  const names = yield* onFiles(`${directory} cannot be read`, () => namesIn(directory))
  const more = names?.find((name) => !harmless.has(name))
  if (more !== undefined) {
    return yield* failed(`${directory} is not empty (there is ${more}): name a directory that holds nothing but keys`)
  }
})

/** A new directory beside `place` with a copy of its keys; whatever is left of it is removed with the scope. */
export const makeBeside = (
  place: string,
  suffix: string
): Effect.Effect<string, CommandFailed, Scope.Scope> =>
  Effect.acquireRelease(
    onFiles(`no directory can be made beside ${place}`, async () => {
      const home = path.resolve(place)
      await fs.mkdir(path.dirname(home), { recursive: true })
      const made = await fs.mkdtemp(`${home}.${suffix}-`)
      for (const name of keyFiles) {
        try {
          await fs.copyFile(path.join(home, name), path.join(made, name))
        } catch (cause) {
          if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause
        }
      }
      return made
    }),
    (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
  )

/**
 * Puts a finished directory at its place. What is there goes to a name that says `suffix`, and is removed after that
 * unless it is kept; returns that name, or null.
 */
export const putInPlace = (
  made: string,
  place: string,
  suffix: string,
  keep: boolean
): Effect.Effect<string | null, CommandFailed> =>
  onFiles(`${place} cannot be put in place`, async () => {
    const home = path.resolve(place)
    for (const name of await fs.readdir(made)) await syncFile(path.join(made, name))
    await syncFile(made)
    let before: string | null = null
    if (await namesIn(home) !== null) {
      before = await freeName(`${home}.${suffix}`)
      await fs.rename(home, before)
    }
    await fs.rename(made, home)
    await syncParent(home)
    if (before !== null && !keep) {
      await fs.rm(before, { recursive: true, force: true })
      return null
    }
    return before
  })

const freeName = async (wanted: string): Promise<string> => {
  for (let i = 0;; i++) {
    const name = i === 0 ? wanted : `${wanted}-${i}`
    if (await namesIn(name) === null) return name
  }
}

const syncFile = async (file: string): Promise<void> => {
  const handle = await fs.open(file, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a rename durable. */
export const syncParent = (file: string): Promise<void> => syncFile(path.dirname(path.resolve(file)))
