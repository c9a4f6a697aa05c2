import { type ChangeOptions, Shutdown } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, jsonOf, serving } from "./Harness.ts"

const json = ["Content-Type: application/json"]

describe("the cluster", () => {
  it.live("GET /v1/cluster is this node's view, with decimal strings for term and indexes", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(jsonOf(yield* ask("GET /v1/cluster?timeout=1s")), {
          clusterId: "0123456789abcdef0123456789abcdef",
          nodeId: "n1",
          role: "leader",
          term: "3",
          leader: "n1",
          commit: "7",
          applied: "7",
          failureTolerance: 0,
          members: [{
            id: "n1",
            address: "127.0.0.1:12000",
            http: "http://127.0.0.1:11000",
            role: "leader",
            voter: true,
            healthy: true,
            lastContactMs: 0,
            match: "7",
            lag: 0,
            version: "0.1.0",
            fingerprint: "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA",
            missingKeys: []
          }]
        })
        assertProblem(yield* ask("GET /v1/cluster?x=1"), 400, "InvalidRequest")
      })
    ))

  it.live("GET /v1/cluster tells what encrypts the node's packets, where the server was told", () =>
    serving(
      ({ ask }) =>
        Effect.gen(function*() {
          assert.propertyVal(jsonOf(yield* ask("GET /v1/cluster")), "encryption", "native")
        }),
      { encryption: "native" }
    ))

  it.live("members are added and leadership is transferred, with what the service answers", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        const member = { id: "n2", address: "127.0.0.1:12001", publicKey: "ssh-ed25519 AAAA" }
        const added = { ...member, http: null }
        assert.deepStrictEqual(
          jsonOf(yield* ask("POST /v1/cluster/members?timeout=9s", json, JSON.stringify(member))),
          { ...added, standing: "joining" }
        )
        assert.deepStrictEqual(
          jsonOf(yield* ask("POST /v1/cluster/members", json, JSON.stringify({ ...member, learner: true }))),
          { ...added, standing: "learner" }
        )
        assertProblem(
          yield* ask("POST /v1/cluster/members", json, JSON.stringify({ ...member, id: "n1" })),
          409,
          "MembershipRejected"
        )
        assert.deepStrictEqual(jsonOf(yield* ask("POST /v1/cluster/transfer", json, "{}")), { leader: "n1", term: "3" })
        assertProblem(yield* ask("POST /v1/cluster/transfer", json, '{"to":"n9"}'), 404, "NotFound")
      })
    ))

  it.live("members are removed, promoted, demoted and moved, with what the service answers", () => {
    const forced: Array<boolean | undefined> = []
    const store = new FakeStore()
    const { members } = fakeService(store)
    const noting = {
      ...members,
      remove: (id: string, options?: ChangeOptions) => {
        forced.push(options?.force)
        return members.remove(id, options)
      }
    }
    return serving(({ ask }) =>
      Effect.gen(function*() {
        const known = {
          id: "n1",
          address: "127.0.0.1:12000",
          http: "http://127.0.0.1:11000",
          publicKey: store.status.publicKey
        }
        assert.deepStrictEqual(jsonOf(yield* ask("POST /v1/cluster/members/n1/promote?timeout=9s")), {
          ...known,
          standing: "voter"
        })
        assert.deepStrictEqual(jsonOf(yield* ask("POST /v1/cluster/members/n1/demote?force=true")), {
          ...known,
          standing: "learner"
        })
        assert.deepStrictEqual(jsonOf(yield* ask("PATCH /v1/cluster/members/n1", json, '{"address":"there:1"}')), {
          ...known,
          address: "there:1",
          standing: "voter"
        })
        assertProblem(yield* ask("DELETE /v1/cluster/members/n1"), 409, "MembershipRejected")
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/cluster/members/n1?force=true&timeout=1s")), { id: "n1" })
        assertProblem(yield* ask("DELETE /v1/cluster/members/n1?force=false"), 409, "MembershipRejected")
        assert.deepStrictEqual(forced, [undefined, true, false])
        for (const call of ["DELETE /v1/cluster/members/n9", "POST /v1/cluster/members/n9/promote"]) {
          assertProblem(yield* ask(call), 404, "NotFound")
        }
        for (const query of ["?force=", "?force=1", "?force=yes", "?forced=true", "?force=true&force=false"]) {
          assertProblem(yield* ask(`DELETE /v1/cluster/members/n1${query}`), 400, "InvalidRequest")
        }
        for (const body of ["{}", '{"address":1}', '{"address":"there:1","id":"n1"}', ""]) {
          assertProblem(yield* ask("PATCH /v1/cluster/members/n1", json, body), 400, "InvalidRequest")
        }
        assertProblem(yield* ask("PATCH /v1/cluster/members/n1", [], '{"address":"h:1"}'), 415, "InvalidRequest")
      }), { replaced: { members: noting } })
  })

  it.live("a node that the cluster refuses says so", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        const view = jsonOf(yield* ask("GET /v1/cluster")) as { readonly refused?: unknown }
        assert.strictEqual(view.refused, "removed")
      }), { replaced: { status: Effect.sync(() => ({ ...new FakeStore().status, refused: "removed" as const })) } }))

  it.live("JSON calls take application/json alone, so that no page can send them as a form", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        for (
          const type of [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json5",
            "application/problem+json",
            "application/json; charset=utf-16",
            "application/json, text/plain"
          ]
        ) {
          for (const path of ["/v1/cluster/transfer", "/v1/cluster/members"]) {
            assertProblem(yield* ask(`POST ${path}`, [`Content-Type: ${type}`], "{}"), 415, "InvalidRequest")
          }
        }
        assertProblem(yield* ask("POST /v1/cluster/transfer", [], "{}"), 415, "InvalidRequest")
        assertProblem(yield* ask("POST /v1/cluster/transfer"), 415, "InvalidRequest")
        assertProblem(
          yield* ask("POST /v1/cluster/transfer", [...json, "Content-Encoding: gzip"], "{}"),
          415,
          "InvalidRequest"
        )
        for (const type of ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']) {
          assert.strictEqual(
            (yield* ask("POST /v1/cluster/transfer", [`Content-Type: ${type}`], "{}")).status,
            200,
            type
          )
        }
      })
    ))

  it.live("malformed, unknown and hostile bodies are 400", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        const nested = 20_000
        for (
          const body of [
            "",
            "{",
            "null",
            "[]",
            '"{}"',
            '{"to":1}',
            '{"to":null}',
            '{"unknown":1}',
            '{"to":"n1","force":true}',
            '{"__proto__":{"to":"n1"}}',
            '{"constructor":"x"}',
            "[".repeat(nested),
            `{"to":${"[".repeat(nested)}${"]".repeat(nested)}}`,
            `{"x":${'{"x":'.repeat(9000)}1${"}".repeat(9000)}}`,
            JSON.stringify({ to: "x".repeat(60_000), y: 1 })
          ]
        ) {
          const reply = yield* ask("POST /v1/cluster/transfer", json, body)
          assert.strictEqual(reply.status, 400, body.slice(0, 40))
          assertProblem(reply, 400, "InvalidRequest")
          assert.isBelow(reply.body.length, 1000)
        }
        assertProblem(yield* ask("POST /v1/cluster/members", json, '{"id":"n2"}'), 400, "InvalidRequest")
        assertProblem(yield* ask("POST /v1/cluster/transfer", json, " ".repeat(65 * 1024)), 413, "InvalidRequest")
        assert.isFalse("to" in {})
      })
    ))
})

describe("health (H14)", () => {
  // fails-with: ready-with-one-flaw
  it.live("readiness follows each of the node's checks, liveness none of them (H14)", () => {
    const store = new FakeStore()
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          const ready = yield* ask("GET /readyz")
          assert.strictEqual(ready.status, 200)
          assert.strictEqual(ready.body, "ok\n")
          assert.strictEqual(
            (yield* ask("GET /readyz?verbose")).body,
            "[+]leader ok\n[+]applied ok\n[+]storage ok\n[+]open ok\n[+]member ok\n"
          )
          for (const check of ["leader", "applied", "storage", "open", "member"] as const) {
            store.ready = { leader: true, applied: true, storage: true, open: true, member: true, [check]: false }
            const reply = yield* ask("GET /readyz")
            assert.strictEqual(reply.status, 503, check)
            assert.strictEqual(reply.body, `not ready: ${check}\n`)
            assert.strictEqual(reply.headers.get("retry-after"), "1")
            assert.include((yield* ask("GET /readyz?verbose=true")).body, `[-]${check} failed\n`)
            assert.strictEqual((yield* ask("GET /readyz?verbose=false")).body, `not ready: ${check}\n`)
            assert.strictEqual((yield* ask("HEAD /readyz")).status, 503)
            assert.strictEqual((yield* ask("GET /livez")).status, 200, check)
          }
          assertProblem(yield* ask("GET /readyz?verbos"), 400, "InvalidRequest")
          for (const path of ["/livez", "/metrics", "/openapi.json", "/docs"]) {
            assertProblem(yield* ask(`GET ${path}?x`), 400, "InvalidRequest")
          }
        }),
      { replaced: { status: Effect.sync(() => ({ ...store.status })) } }
    )
  })

  it.live("a node that has stopped for good is neither live nor ready", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask("GET /livez")).status, 503)
        const ready = yield* ask("GET /readyz?verbose")
        assert.strictEqual(ready.status, 503)
        assert.include(ready.body, "[-]open failed\n")
        assertProblem(yield* ask("GET /v1/cluster"), 503, "Shutdown")
        assertProblem(yield* ask("GET /metrics"), 503, "Shutdown")
      }), { replaced: { stopped: Effect.void, status: Effect.fail(new Shutdown()) } }))
})

describe("metrics", () => {
  it.live("are in Prometheus' text format, each described once, requests counted by operation and outcome", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        yield* ask("PUT /v1/kv/a", [], "v")
        yield* ask("GET /v1/kv/a")
        yield* ask("GET /v1/kv/absent")
        yield* ask("GET /v1/kv/%")
        yield* ask("GET /v1/kv")
        yield* ask("GET /key/absent")
        const reply = yield* ask("GET /metrics")
        assert.strictEqual(reply.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        const lines = reply.body.trimEnd().split("\n")
        const types = new Map<string, string>()
        for (const line of lines) {
          const type = /^# TYPE (distkv_[a-z_]+) (counter|gauge|histogram)$/.exec(line)
          if (type !== null) {
            assert.isFalse(types.has(type[1] ?? ""), line)
            types.set(type[1] ?? "", type[2] ?? "")
            continue
          }
          if (/^# HELP distkv_[a-z_]+ \S/.test(line)) continue
          const sample = /^(distkv_[a-z_]+)(\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})? (\S+)$/.exec(line)
          assert.isNotNull(sample, line)
          assert.isTrue(Number.isFinite(Number(sample?.[3])), line)
          assert.isTrue(
            types.has((sample?.[1] ?? "").replace(/_(bucket|sum|count)$/, "")) || types.has(sample?.[1] ?? "")
          )
        }
        const counted = (op: string, outcome: string, count: number) =>
          assert.include(lines, `distkv_kv_requests_total{op="${op}",outcome="${outcome}"} ${count}`)
        counted("set", "ok", 1)
        counted("get", "ok", 1)
        counted("get", "KeyNotFound", 2)
        counted("get", "InvalidRequest", 1)
        counted("list", "ok", 1)
        assert.include(lines, 'distkv_kv_request_duration_seconds_bucket{op="get",le="+Inf"} 4')
        assert.include(lines, 'distkv_kv_request_duration_seconds_count{op="get"} 4')
        assert.include(lines, "distkv_raft_is_leader 1")
        assert.include(lines, 'distkv_peer_connected{peer="n2"} 1')
        assert.isTrue(types.has("distkv_event_loop_delay_seconds"))
      })
    ))
})

describe("the interface's own description", () => {
  it.live("the OpenAPI document names every call, the hot ones included, and none that is not served", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        const reply = yield* ask("GET /openapi.json")
        const document = JSON.parse(Buffer.from(reply.body, "latin1").toString("utf8")) as {
          readonly openapi: string
          readonly paths: Record<string, Record<string, { readonly responses: Record<string, unknown> }>>
        }
        assert.match(document.openapi, /^3\.1/)
        const calls = Object.entries(document.paths).flatMap(([path, item]) =>
          Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)
        )
        assert.sameMembers(calls, [
          "GET /v1/kv",
          "DELETE /v1/kv",
          "GET /v1/kv/{key}",
          "HEAD /v1/kv/{key}",
          "PUT /v1/kv/{key}",
          "DELETE /v1/kv/{key}",
          "POST /v1/sessions",
          "GET /v1/cluster/outcome",
          "GET /v1/cluster",
          "GET /v1/snapshot",
          "POST /v1/cluster/members",
          "DELETE /v1/cluster/members/{id}",
          "PATCH /v1/cluster/members/{id}",
          "POST /v1/cluster/members/{id}/promote",
          "POST /v1/cluster/members/{id}/demote",
          "POST /v1/cluster/transfer",
          "GET /livez",
          "GET /readyz",
          "GET /metrics",
          "GET /key/{key}",
          "POST /key",
          "DELETE /key/{key}"
        ])
        assert.sameMembers(
          Object.keys(document.paths["/v1/kv/{key}"]?.put?.responses ?? {}),
          ["200", "400", "403", "409", "410", "412", "413", "415", "429", "503", "504", "507"]
        )
        for (const method of ["get", "head"]) {
          assert.sameMembers(
            Object.keys(document.paths["/v1/kv/{key}"]?.[method]?.responses ?? {}),
            ["200", "304", "400", "403", "404", "429", "503", "504"]
          )
        }
      })
    ))

  it.live("the page loads nothing from any other host, and its policy would not let it", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        for (const path of ["/docs", "/docs/script.js", "/docs/style.css"]) {
          const reply = yield* ask(`GET ${path}`)
          assert.strictEqual(reply.status, 200)
          assert.notMatch(reply.body, /https?:|\/\/[a-z]/)
          assert.match(reply.headers.get("content-security-policy") ?? "", /^default-src 'none';/)
          assert.notMatch(reply.headers.get("content-security-policy") ?? "", /unsafe|https?:|\*/)
        }
        const page = (yield* ask("GET /docs")).body
        for (const [, source] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
          assert.strictEqual((yield* ask(`GET ${source}`)).status, 200, source)
        }
      })
    ))
})
