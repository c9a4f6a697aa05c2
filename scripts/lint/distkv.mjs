// Rules of this repository that no linter has: a plugin for oxlint, named in `.oxlintrc.json`.
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { arrows, doors, doorsForTests, placeOf, target, typesOnly } from "./modules.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..")

/**
 * The parts of a syntax tree that these rules look at; the full ones are ESTree's.
 * @typedef {{ type: string, [field: string]: any }} Node
 * @typedef {{ filename: string, report: (problem: { node: Node, message: string }) => void }} Context
 */

/**
 * Calls `check` for every import, re-export and import type.
 * @param {(node: Node, specifier: string, typeOnly: boolean) => void} check
 */
const everyImport = (check) => {
  const declaration = (/** @type {Node} */ node) => {
    if (node["source"] === null || node["source"] === undefined) return
    const named = node["specifiers"] ?? []
    const typeOnly = node["importKind"] === "type" || node["exportKind"] === "type" ||
      (named.length > 0 &&
        named.every((/** @type {Node} */ one) => (one["importKind"] ?? one["exportKind"]) === "type"))
    check(node, node["source"].value, typeOnly)
  }
  return {
    ImportDeclaration: declaration,
    ExportNamedDeclaration: declaration,
    ExportAllDeclaration: declaration,
    ImportExpression: (/** @type {Node} */ node) => {
      if (typeof node["source"].value === "string") check(node, node["source"].value, false)
    },
    TSImportType: (/** @type {Node} */ node) => {
      const source = node["source"] ?? node["argument"]?.literal ?? node["argument"]
      if (typeof source?.value === "string") check(node, source.value, true)
    }
  }
}

/** Imports follow the arrows of `modules.mjs`, and other packages come in by their doors only. */
const arrowsRule = {
  create: (/** @type {Context} */ context) => {
    const here = placeOf(root, context.filename)
    const inSource = here.package !== null && here.folder === "src"
    return everyImport((node, specifier, typeOnly) => {
      const report = (/** @type {string} */ message) => context.report({ node, message })
      if (specifier.startsWith("@distkv/")) {
        if (![...doors, ...doorsForTests].includes(specifier)) {
          return report(`${specifier} is not a door of its package`)
        }
        if (!inSource) return
        if (specifier.startsWith(`@distkv/${here.package}`)) {
          return report("a package reaches its own files by their paths")
        }
        if (!(arrows[here.module] ?? []).includes(specifier)) {
          return report(`${here.module} must not import ${specifier}`)
        }
        return
      }
      if (!specifier.startsWith(".")) return
      if (!/\.(ts|mjs|json)$/.test(specifier)) return report("a relative import names the file with its ending")
      const there = placeOf(root, target(context.filename, specifier))
      if (there.package !== here.package && there.package !== null) {
        return report(`another package comes in by its door, @distkv/${there.package}`)
      }
      if (there.package === null || !inSource) return
      if (there.folder !== "src") return report(`src must not import from ${there.folder}`)
      if (there.module === here.module) return
      if (!(arrows[here.module] ?? []).includes(there.module)) {
        return report(
          `${here.module} must not import ${there.module}: the arrows of scripts/lint/modules.mjs point the other way`
        )
      }
      if (typesOnly[here.module]?.includes(there.module) === true && !typeOnly) {
        report(`${here.module} knows of ${there.module} only what its data look like: import types`)
      }
    })
  }
}

/** In core nothing escapes the scheduler, the clock, the random source or the scope that it is given. */
const forbiddenGlobals = new Map([
  ["Date", "time comes from Clock"],
  ["performance", "time comes from Clock"],
  ["console", "say it with Effect's logger, or not at all"],
  ["process", "the environment comes from Config"],
  ["globalThis", "say what is needed from it"],
  ["Promise", "what waits is an Effect"],
  ["fetch", "the world is reached through ports"],
  ["crypto", "random bytes come from effect/crypto/SecureRandom"]
])
for (const timer of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) {
  forbiddenGlobals.set(timer, "waiting is Effect.sleep, or a deadline in a field")
}
const allowedNodeModules = ["node:buffer", "node:zlib"]

/** True where an identifier is a use of a variable, and not a property's or a declaration's name. @param {Node} node */
const isUse = (node) => {
  const parent = node["parent"]
  if (parent === undefined || parent === null) return true
  if (parent.type === "MemberExpression") return parent.object === node || parent.computed === true
  if (parent.type === "Property") return parent.value === node || parent.shorthand === true
  if (
    /^(TSQualifiedName|TSTypeReference|TSPropertySignature|TSMethodSignature|PropertyDefinition|MethodDefinition|ImportSpecifier|ExportSpecifier|TSTypeParameter)$/
      .test(parent.type)
  ) {
    return parent.type === "PropertyDefinition" && parent.value === node
  }
  return true
}

const pureCoreRule = {
  create: (/** @type {Context} */ context) => {
    const report = (/** @type {Node} */ node, /** @type {string} */ message) => context.report({ node, message })
    const noAsync = (/** @type {Node} */ node) => {
      if (node["async"] === true) report(node, "core has no async functions: what waits is an Effect")
    }
    return {
      ...everyImport((node, specifier) => {
        if (specifier.startsWith("node:") && !allowedNodeModules.includes(specifier)) {
          report(node, `core runs anywhere and reaches the world through its ports: no ${specifier}`)
        }
      }),
      FunctionDeclaration: noAsync,
      FunctionExpression: noAsync,
      ArrowFunctionExpression: noAsync,
      AwaitExpression: (/** @type {Node} */ node) => report(node, "core awaits nothing: what waits is an Effect"),
      TryStatement: (/** @type {Node} */ node) => report(node, "core catches nothing: failures are values, or defects"),
      Identifier: (/** @type {Node} */ node) => {
        const why = forbiddenGlobals.get(node["name"])
        if (why !== undefined && isUse(node)) report(node, `core does not use ${node["name"]}: ${why}`)
      },
      MemberExpression: (/** @type {Node} */ node) => {
        const { object, property, computed } = node
        if (computed === true) return
        if (object.name === "Math" && property.name === "random") report(node, "chance comes from Random")
        if (object.name === "Effect" && String(property.name).startsWith("run")) {
          report(node, "an Effect that is run here leaves the scheduler and the scope of its caller")
        }
        // `currentTimeMillis` and its kin are the wall clock, which may jump; Clock's monotonic readings do not.
        if (String(property.name).startsWith("currentTime")) {
          report(node, "deadlines use monotonicTimeNanosUnsafe: this one is the wall clock")
        }
      }
    }
  }
}

const effectful = new Set(
  ("Effect Layer Stream Sink Channel Queue PubSub Deferred Ref SubscriptionRef SynchronizedRef Fiber FiberSet FiberMap " +
    "FiberHandle Scope Schedule Runtime ManagedRuntime Clock Random Semaphore Latch Context Config Logger Metric")
    .split(" ")
)

/** Domain and rules are plain code: they could be read beside the paper by someone who does not know Effect. */
const noEffectValuesRule = {
  create: (/** @type {Context} */ context) => ({
    ImportDeclaration: (/** @type {Node} */ node) => {
      const source = node["source"].value
      if (typeof source !== "string" || !/^@?effect(\/|$)/.test(source)) return
      for (const one of node["specifiers"]) {
        const name = one.imported?.name ?? source.split("/").at(-1)
        if (effectful.has(name)) context.report({ node: one, message: `domain and rules are plain code: no ${name}` })
      }
    }
  })
}

/** Effect's modules come in one way everywhere: `import { Effect, Layer } from "effect"`. */
const effectImportsRule = {
  create: (/** @type {Context} */ context) =>
    everyImport((node, specifier) => {
      const report = (/** @type {string} */ message) => context.report({ node, message })
      if (/^effect\/[A-Z]/.test(specifier)) report(`import { ${specifier.slice(7)} } from "effect"`)
      if (specifier === "@effect/platform-node") {
        report(
          "import the module needed, as @effect/platform-node/NodeRuntime: the whole package costs 300 ms at each start"
        )
      }
    })
}

export default {
  meta: { name: "distkv" },
  rules: {
    arrows: arrowsRule,
    "pure-core": pureCoreRule,
    "no-effect-values": noEffectValuesRule,
    "effect-imports": effectImportsRule
  }
}
