// A file of what is known of each mutant, so that a run of hours can be spread over calls.
import { createHash } from "node:crypto"
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"

/** @typedef {import("./index.mjs").Mutant} Mutant */
/** @typedef {{ by: string | null, seeds: number, detail: string }} Finding */

/**
 * Of another text of the mutant nothing is known.
 * @param {Mutant} mutant
 */
const digestOf = ({ edits }) => createHash("sha256").update(JSON.stringify(edits)).digest("hex").slice(0, 16)

export class Findings {
  /** @param {string | undefined} file */
  constructor(file) {
    this.file = file
    /** @type {Record<string, Finding & { digest: string }>} */
    this.known = file !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {}
  }

  /**
   * @param {Mutant} mutant
   * @returns {Finding | null}
   */
  of(mutant) {
    const known = this.known[mutant.id]
    return known === undefined || known.digest !== digestOf(mutant) ? null : known
  }

  /**
   * @param {Mutant} mutant
   * @param {Finding} finding
   */
  add(mutant, { by, detail, seeds }) {
    this.known[mutant.id] = { digest: digestOf(mutant), by, seeds, detail }
    if (this.file === undefined) return
    writeFileSync(`${this.file}.new`, `${JSON.stringify(this.known, null, 1)}\n`)
    renameSync(`${this.file}.new`, this.file)
  }
}
