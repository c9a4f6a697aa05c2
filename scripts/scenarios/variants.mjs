// Broken variants of the program: each is one change of the source, by which a test has to fail.
import { readFileSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {string} says What is wrong with it.
 * @property {string} path The file that is changed.
 * @property {string} from
 * @property {string} to
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
      variant = { name, says, path: "", from: "", to: "" }
      variants.set(name, variant)
    } else if (variant !== undefined && line.startsWith("  @ ")) variant.path = line.slice(4).trim()
    else if (variant !== undefined && line.startsWith("  - ")) variant.from += `${line.slice(4).trim()}\n`
    else if (variant !== undefined && line.startsWith("  + ")) variant.to += `${line.slice(4).trim()}\n`
  }
  return variants
}

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")

/**
 * The changed source; throws where the change fits nowhere, or in more than one place.
 * @param {Variant} variant
 * @param {string} source
 */
export const broken = ({ from, name, path, to }, source) => {
  const pattern = new RegExp(from.trim().split(/\s+/).map(escaped).join("\\s+"), "g")
  const places = source.match(pattern)?.length ?? 0
  if (from.trim() === "" || places !== 1) throw new Error(`the variant ${name} fits ${places} places of ${path}`)
  return source.replace(pattern, () => to.trim())
}
