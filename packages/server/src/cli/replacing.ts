/** What to do with a node whose data cannot be trusted any more: the commands, in their order, ready to be copied. */
import { isToBeReplaced, StorageFailed } from "@distkv/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { noteLine } from "./Output.ts"

/** The name in a directory's identity, as far as that can be read. */
const nodeIdOf = (dataDir: string): string => {
  try {
    const identity: unknown = JSON.parse(fs.readFileSync(path.join(dataDir, "identity.json"), "utf8"))
    if (typeof identity === "object" && identity !== null && "nodeId" in identity) return String(identity.nodeId)
  } catch {
    // The file may be what is damaged.
  }
  return "ID"
}

/** A word of a shell's command. */
const quoted = (word: string): string => /^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** How a damaged node is replaced; URL and HOST:PORT stand for another member's addresses. */
export const replacementOf = (dataDir: string, markFile: string | undefined): ReadonlyArray<string> => {
  const home = path.resolve(dataDir)
  const [place, kept] = [quoted(home), quoted(`${home}.damaged`)]
  const mark = markFile === undefined ? [] : [`  mv ${quoted(path.resolve(markFile))} ${kept}/`]
  const start = markFile === undefined ? place : `${place} --mark-file ${quoted(path.resolve(markFile))}`
  return [
    "While a majority of the other members is well nothing is lost: replace this node by a new one, with a new name.",
    `  distkv member remove ${quoted(nodeIdOf(home))} --endpoint URL`,
    `  mv ${place} ${kept}`,
    ...mark,
    `  distkv init --data-dir ${place}`,
    `  distkv keys authorize ${kept}/authorized.keys --data-dir ${place}`,
    "for each other member, with its directory for DIR:",
    `  distkv keys authorize ${place}/id_ed25519.pub --data-dir DIR`,
    "and then, with the addresses that this node had:",
    `  distkv start --data-dir ${start} --join HOST:PORT`,
    "Where no majority is left: distkv restore with a backup, or distkv recover on the best member left."
  ]
}

/** Says so where that is what `error` asks for. */
export const tellHowToReplace = (
  error: { readonly message: string },
  dataDir: string,
  markFile: string | undefined
): Effect.Effect<void> =>
  error instanceof StorageFailed && isToBeReplaced(error)
    ? Effect.forEach(replacementOf(dataDir, markFile), noteLine, { discard: true })
    : Effect.void
