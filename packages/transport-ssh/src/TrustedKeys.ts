/**
 * The keys that are trusted right now, read again whenever their files change.
 *
 * Watching files is unreliable over editors and file systems, so they are looked at: at every authentication, at every
 * poll, and on demand. A file that is emptied or removed trusts nobody; one that cannot be read keeps its old keys.
 * The keys of members come on top where the node is told to trust them.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type AuthorizedKey, blobOf, findKey, parseAuthorizedKeys } from "./AuthorizedKeys.ts"
import { trustFiles } from "./Keys.ts"
import type { Log } from "./SshLog.ts"

interface TrustFile {
  readonly path: string
  /** What the file looked like when it was read; null when it has to be read again in any case. */
  stamp: string | null
  keys: ReadonlyArray<AuthorizedKey>
  readable: boolean
}

/** A file changed this recently, in milliseconds, may change again without looking different. */
const settlingMs = 100

const maxVerdicts = 1024

export class TrustedKeys {
  private readonly files: ReadonlyArray<TrustFile>
  private readonly log: Log
  private merged: ReadonlyArray<AuthorizedKey> = []
  private members: ReadonlyArray<AuthorizedKey> = []
  private changed = false
  /** Whether a key is trusted, of those asked for since the keys last changed: a node asks for the same few often. */
  private readonly verdicts = new Map<string, boolean>()

  constructor(dataDir: string, log: Log) {
    this.log = log
    this.files = trustFiles.map((name) => ({ path: path.join(dataDir, name), stamp: null, keys: [], readable: true }))
  }

  /** Where a key is put to be trusted, for messages. */
  get path(): string {
    return this.files[0]?.path ?? ""
  }

  /** Why a file could not be read; null when both could, or are not there. */
  get unreadable(): string | null {
    return this.files.find((file) => !file.readable)?.path ?? null
  }

  /** The trusted key with this wire form. */
  find(blob: Uint8Array): AuthorizedKey | undefined {
    return findKey(this.merged, blob) ?? findKey(this.members, blob)
  }

  /** Trusts these keys beside those in the files, instead of the ones from before; true when one of those is gone. */
  setMembers(publicKeys: ReadonlyArray<string>): boolean {
    const before = this.members
    this.members = parseAuthorizedKeys(publicKeys.join("\n")).keys
    this.verdicts.clear()
    return before.some((key) => !publicKeys.includes(key.publicKey))
  }

  /** Whether this key is trusted. */
  has(publicKey: string): boolean {
    const known = this.verdicts.get(publicKey)
    if (known !== undefined) return known
    const trusted = this.find(blobOf(publicKey)) !== undefined
    if (this.verdicts.size < maxVerdicts) this.verdicts.set(publicKey, trusted)
    return trusted
  }

  /** Whether the set of keys has become another one since this was last asked. */
  takeChange(): boolean {
    const { changed } = this
    this.changed = false
    return changed
  }

  /** Looks at the files, and reads what changed; all of it when `always`. */
  refresh(always = false): void {
    const before = this.merged
    let read = false
    for (const file of this.files) if (this.refreshFile(file, always)) read = true
    if (!read) return
    const keys = new Map(this.files.flatMap((file) => file.keys).map((key) => [key.publicKey, key]))
    this.merged = [...keys.values()]
    this.verdicts.clear()
    if (before.length !== keys.size || before.some((key) => !keys.has(key.publicKey))) this.changed = true
  }

  /** True when the file was read again. */
  private refreshFile(file: TrustFile, always: boolean): boolean {
    try {
      const found = fs.statSync(file.path, { throwIfNoEntry: false, bigint: true })
      const stamp = found === undefined ? "missing" : `${found.mtimeNs} ${found.ctimeNs} ${found.size} ${found.ino}`
      if (!always && stamp === file.stamp) return false
      const parsed = parseAuthorizedKeys(found === undefined ? "" : fs.readFileSync(file.path, "utf8"))
      const settled = found === undefined || Date.now() - Number(found.mtimeMs) > settlingMs
      if (file.stamp !== stamp) {
        for (const { line, reason } of parsed.rejected) {
          this.log("warn", `${file.path}, line ${line} is not trusted: ${reason}`)
        }
      }
      file.stamp = settled ? stamp : null
      file.keys = parsed.keys
      file.readable = true
      return true
    } catch (cause) {
      // Removed between looking and reading is removed: the next look sees it so.
      if (file.readable) {
        const why = cause instanceof Error ? cause.message : String(cause)
        this.log("error", `${file.path} cannot be read, and the keys read from it before stay trusted: ${why}`)
      }
      file.readable = false
      file.stamp = null
      return false
    }
  }
}
