// What no linter looks at: the length of files, words that must not stay, what each rule file owes its reader, exact
// versions, addresses in the lockfile, links in the documents. Prints every problem and fails when there is one.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const lines = { wanted: 300, most: 400 }
const columns = 120

/**
 * @typedef {{ path: string, text: string }} File
 * @typedef {{ path: string, line?: number, message: string }} Problem
 */

/** Everything that is or would be committed. @returns {ReadonlyArray<File>} */
const files = () =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter((path) =>
      path !== "" && statSync(join(root, path), { throwIfNoEntry: false })?.isFile() &&
      !/\.(png|svg|ico|woff2?)$/.test(path)
    )
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))

const isCode = (/** @type {File} */ { path }) => /\.(ts|mts|mjs)$/.test(path)

const unfinished = /\b(TODO|FIXME|XXX|HACK)\b/
const loosened = /@ts-(ignore|nocheck)|(oxlint|eslint)-disable/
const machinePath = /(?<![\w.:/-])\/(work|root|home)\/[\w.-]/
const isComment = /^\s*(\/\/|\/?\*)/
const shapeless = /^(utils?|helpers?|types|common|misc|shared)\.(ts|mjs)$/i

/** @param {File} file @returns {ReadonlyArray<Problem>} */
const inLines = ({ path, text }) => {
  if (path === "pnpm-lock.yaml" || path === "scripts/tidy.mjs") return [] // here the words stand as words
  const code = isCode({ path, text })
  return text.split("\n").flatMap((content, i) => {
    const problem = (/** @type {string} */ message) => ({ path, line: i + 1, message })
    return [
      ...(unfinished.test(content) ? [problem("says that it is not finished: finish it")] : []),
      ...(code && loosened.test(content) ? [problem("loosens a check: mend the code instead")] : []),
      ...(machinePath.test(content) ? [problem("names a path of one machine")] : []),
      // Code is broken by the formatter; it leaves comments as they are.
      ...(code && isComment.test(content) && content.length > columns
        ? [problem(`has ${content.length} columns; at most ${columns}`)]
        : [])
    ]
  })
}

/** @param {File} file @returns {ReadonlyArray<Problem>} */
const inWhole = (file) => {
  const { path, text } = file
  const problems = []
  const length = text.split("\n").length - 1
  if (isCode(file) && length > lines.most) {
    problems.push({ path, message: `has ${length} lines; at most ${lines.most}` })
  }
  if (shapeless.test(basename(path))) problems.push({ path, message: "has a name that says nothing of what is in it" })
  if (/^packages\/core\/src\/rules\/[^/]+\.ts$/.test(path)) {
    const comments = (text.match(/\/\*\*[\s\S]*?\*\//g) ?? []).join("\n")
    if (!/\bInvariants?\b/.test(comments)) problems.push({ path, message: "a rule file states its Invariant" })
    if (!comments.includes("§")) {
      problems.push({ path, message: "a rule file names its section (§) of the paper, thesis or contract" })
    }
  }
  if (path === "pnpm-lock.yaml" && /https?:\/\/|tarball:/.test(text)) {
    problems.push({ path, message: "holds an address: it belongs to the machine that made it" })
  }
  return problems
}

/**
 * Versions are exact, so that the same commit is the same program.
 * @param {File} file
 * @returns {ReadonlyArray<Problem>}
 */
const inManifest = ({ path, text }) => {
  if (basename(path) !== "package.json") return []
  const manifest = JSON.parse(text)
  return ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {})
      .filter(([, version]) => !/^(workspace:\*|\d+\.\d+\.\d+[\w.-]*)$/.test(version))
      .map(([name, version]) => ({ path, message: `${kind}: ${name} ${version} is not an exact version` }))
  )
}

/** Links to files of the repository lead somewhere. @param {File} file @returns {ReadonlyArray<Problem>} */
const inDocument = ({ path, text }) => {
  if (!path.endsWith(".md")) return []
  return [...text.replace(/```[\s\S]*?```/g, "").matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    const [file = ""] = link.split("#")
    if (file === "" || /^[a-z]+:/.test(file) || existsSync(join(root, dirname(path), file))) return []
    return [{ path, message: `the link ${link} leads nowhere` }]
  })
}

const all = files()
const problems = all.flatMap((file) => [...inWhole(file), ...inLines(file), ...inManifest(file), ...inDocument(file)])
for (const file of all.filter(isCode)) {
  const length = file.text.split("\n").length - 1
  if (length > lines.wanted && length <= lines.most) console.log(`long: ${file.path} has ${length} lines`)
}
for (const { line, message, path } of problems) {
  console.error(`${path}${line === undefined ? "" : `:${line}`}: ${message}`)
}
if (problems.length > 0) process.exitCode = 1
