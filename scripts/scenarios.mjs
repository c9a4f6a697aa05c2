#!/usr/bin/env node
// The catalogue of scenarios, and what plays them:
//
//   npm run scenarios                      writes docs/SCENARIOS.md
//   npm run scenarios -- --check           fails when it is stale, or a broken variant fits the program no more
//   npm run scenarios -- --traces [name …] plays scripts and writes their traces anew
//   npm run scenarios -- --prove [name …]  tries the broken variants (all, or those whose names hold a word): on a copy
//                                          of the tree each test that names a variant must fail by it
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { endWithUsage } from "./arguments.mjs"
import { readCatalogue } from "./scenarios/catalogue.mjs"
import { prove } from "./scenarios/prove.mjs"
import { tableOf } from "./scenarios/table.mjs"
import { findPlays } from "./scenarios/tests.mjs"
import { broken, readVariants } from "./scenarios/variants.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const table = join(root, "docs", "SCENARIOS.md")

/** What is wrong with the catalogue, its tests and its variants. @returns {ReadonlyArray<string>} */
const problems = () => {
  const ids = new Set(readCatalogue().flatMap(({ scenarios }) => scenarios.map(({ id }) => id)))
  const variants = readVariants()
  const plays = findPlays(root)
  const named = new Set(plays.flatMap(({ failsWith }) => failsWith))
  /** @type {Array<string>} */
  const found = []
  for (const { failsWith, ids: played, kind, path } of plays) {
    if (kind === "script") {
      found.push(...played.filter((id) => !ids.has(id)).map((id) => `${path}: there is no scenario ${id}`))
    }
    found.push(...failsWith.filter((name) => !variants.has(name)).map((name) => `${path}: there is no variant ${name}`))
  }
  for (const variant of variants.values()) {
    if (!named.has(variant.name)) found.push(`the variant ${variant.name} is named by no test`)
    try {
      broken(variant, (path) => readFileSync(join(root, path), "utf8"))
    } catch (error) {
      found.push(String(error))
    }
  }
  return found
}

const usage = "npm run scenarios -- [--check | --traces [name …] | --prove [name …]]"
const [mode, ...words] = process.argv.slice(2)
const made = () => tableOf(readCatalogue(), findPlays(root), readVariants())

switch (mode) {
  case undefined:
    writeFileSync(table, made())
    break
  case "--check": {
    const found = [
      ...problems(),
      ...(made() === readFileSync(table, "utf8") ? [] : ["docs/SCENARIOS.md is stale: run `npm run scenarios`"])
    ]
    for (const problem of found) console.error(problem)
    if (found.length > 0) process.exitCode = 1
    break
  }
  case "--traces": {
    const args = ["packages/core/test/scripts/play.ts", "--traces", ...words]
    process.exitCode = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1
    break
  }
  case "--prove": {
    const wanted = new Map(
      [...readVariants()].filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)))
    )
    const wrong = prove(root, findPlays(root), wanted)
    if (wrong > 0) {
      console.error(`${wrong} do not fail as they say`)
      process.exitCode = 1
    }
    break
  }
  case "--help":
    endWithUsage(usage)
    break
  default:
    endWithUsage(usage, `${mode} is not known`)
}
