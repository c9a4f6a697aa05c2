// Broken variants of the program: each is one change of the source, by which a test has to fail.
import { readFileSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {string} says What is wrong with it.
 * @property {Array<{ path: string, from: string, to: string }>} changes
 */

/** @returns {ReadonlyMap<string, Variant>} */
export const readVariants = () => {
  const text = readFileSync(join(import.meta.dirname, "variants.txt"), "utf8")
  /** @type {Map<string, Variant>} */
  const variants = new Map()
  /** @type {Variant | undefined} */
  let variant
  for (const line of text.split("\n")) {
    const [, name, says] = /^([a-z0-9-]+): (.*)$/.exec(line) ?? []
    if (name !== undefined && says !== undefined) {
      if (variants.has(name)) throw new Error(`there are two variants ${name}`)
      variant = { name, says, changes: [] }
      variants.set(name, variant)
    }
    const content = line.slice(4).trim()
    if (line.startsWith("  @ ")) variant?.changes.push({ path: content, from: "", to: "" })
    const change = variant?.changes.at(-1)
    if (change !== undefined && line.startsWith("  - ")) change.from += `${content}\n`
    if (change !== undefined && line.startsWith("  + ")) change.to += `${content}\n`
  }
  return variants
}

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")

/**
 * The changed files; throws where a change fits nowhere, or in more than one place.
 * @param {Variant} variant
 * @param {(path: string) => string} read
 * @returns {ReadonlyMap<string, string>}
 */
export const broken = ({ changes, name }, read) => {
  /** @type {Map<string, string>} */
  const files = new Map()
  for (const { from, path, to } of changes) {
    const source = files.get(path) ?? read(path)
    const pattern = new RegExp(from.trim().split(/\s+/).map(escaped).join("\\s+"), "g")
    const places = source.match(pattern)?.length ?? 0
    if (from.trim() === "" || places !== 1) throw new Error(`the variant ${name} fits ${places} places of ${path}`)
    files.set(path, source.replace(pattern, () => to.trim()))
  }
  if (files.size === 0) throw new Error(`the variant ${name} changes nothing`)
  return files
}
