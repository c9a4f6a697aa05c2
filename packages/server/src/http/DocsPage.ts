/** `/docs`: the OpenAPI document made readable, by a page that loads nothing from any other host. */

/** What the page may do: run its own script and style, and ask this origin for the document. */
export const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>distkv: HTTP interface</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<header><h1>distkv</h1><p id="about">Loading…</p><p><a href="/openapi.json">openapi.json</a></p></header>
<main id="calls"></main>
<noscript><p>This page needs its script; the same content is in <a href="/openapi.json">openapi.json</a>.</p></noscript>
<script src="/docs/script.js"></script>
</body>
</html>
`

export const docsStyle = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; border-bottom: 1px solid; }
details { margin: .75rem 0; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem; }
summary { cursor: pointer; font-family: ui-monospace, monospace; }
summary b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
pre { overflow: auto; padding: .5rem; background: #8882; border-radius: .3rem; }
`

export const docsScript = `"use strict"
const element = (name, text, ...children) => {
  const node = document.createElement(name)
  if (text !== undefined) node.textContent = text
  node.append(...children)
  return node
}
const resolve = (doc, schema, depth = 0) => {
  if (typeof schema !== "object" || schema === null || depth > 8) return schema
  if (Array.isArray(schema)) return schema.map((part) => resolve(doc, part, depth + 1))
  if (typeof schema.$ref === "string") {
    return resolve(doc, doc.components.schemas[schema.$ref.split("/").pop()], depth + 1)
  }
  return Object.fromEntries(Object.entries(schema).map(([name, part]) => [name, resolve(doc, part, depth + 1)]))
}
const content = (doc, title, body) => {
  const parts = [element("h4", title)]
  for (const [type, media] of Object.entries(body ?? {})) {
    parts.push(element("p", type), element("pre", JSON.stringify(resolve(doc, media.schema), null, 2)))
  }
  return parts
}
const parameters = (list) => {
  if (list.length === 0) return []
  const table = element("table", undefined, element("tr", undefined,
    ...["parameter", "in", "required", "about"].map((name) => element("th", name))))
  for (const one of list) {
    const about = one.description ?? one.schema.description ?? (one.schema.enum ?? [one.schema.type]).join(" | ")
    table.append(element("tr", undefined, element("td", one.name), element("td", one.in),
      element("td", one.required ? "yes" : ""), element("td", about)))
  }
  return [table]
}
const operation = (doc, method, path, call) => {
  const summary = element("summary", undefined, element("b", method.toUpperCase()), document.createTextNode(path))
  const node = element("details", undefined, summary)
  if (call.description) node.append(element("p", call.description))
  node.append(...parameters(call.parameters ?? []))
  if (call.requestBody) node.append(...content(doc, "Body", call.requestBody.content))
  for (const [status, response] of Object.entries(call.responses)) {
    if (Number(status) < 400) node.append(...content(doc, status, response.content))
  }
  const failures = Object.keys(call.responses).filter((status) => Number(status) >= 400)
  if (failures.length > 0) node.append(element("p", "Failures: " + failures.join(", ")))
  return node
}
const show = (doc) => {
  document.getElementById("about").textContent = doc.info.description ?? ""
  const groups = new Map()
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, call] of Object.entries(item)) {
      const tag = (call.tags ?? ["other"])[0]
      if (!groups.has(tag)) groups.set(tag, element("section", undefined, element("h2", tag)))
      groups.get(tag).append(operation(doc, method, path, call))
    }
  }
  document.getElementById("calls").append(...groups.values())
}
fetch("/openapi.json").then((reply) => reply.json()).then(show, (error) => {
  document.getElementById("about").textContent = "The document could not be loaded: " + error
})
`
