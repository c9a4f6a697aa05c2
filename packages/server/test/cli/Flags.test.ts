import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { environmentName, parseDuration } from "../../src/cli/Flags.ts"
import { formatHostPort, parseEndpoint, parseHostPort } from "../../src/cli/HostPort.ts"

describe("what is typed on a command line", () => {
  it("durations are read with a unit, and nothing else is", () => {
    const millis = (input: string) => {
      const duration = parseDuration(input)
      return duration === undefined ? undefined : Duration.toMillis(duration)
    }
    assert.deepStrictEqual(
      ["300ms", "1s", "1.5s", "2m", "1h", "300 millis", "2 seconds"].map(millis),
      [300, 1000, 1500, 120_000, 3_600_000, 300, 2000]
    )
    assert.deepStrictEqual(
      ["", "5", "5q", "-1s", "s", "1s1s", "Infinity", "1e3s", "0x10ms"].map(millis),
      new Array<undefined>(9).fill(undefined)
    )
  })

  it("an address is a host and a port of 0 to 65535", () => {
    assert.deepStrictEqual(parseHostPort("127.0.0.1:0"), { host: "127.0.0.1", port: 0 })
    assert.deepStrictEqual(parseHostPort("node-1.example:65535"), { host: "node-1.example", port: 65535 })
    assert.deepStrictEqual(parseHostPort("[::1]:12000"), { host: "::1", port: 12000 })
    for (
      const wrong of ["", "host", "host:", ":1", "host:65536", "host:-1", "::1:12000", "a b:1", "http://h:1", "h:1/"]
    ) {
      assert.strictEqual(parseHostPort(wrong), undefined, wrong)
    }
    assert.strictEqual(formatHostPort({ host: "::1", port: 1 }), "[::1]:1")
  })

  it("an endpoint is an origin, with or without its scheme", () => {
    assert.strictEqual(parseEndpoint("127.0.0.1:11000"), "http://127.0.0.1:11000")
    assert.strictEqual(parseEndpoint("http://[::1]:11000/"), "http://[::1]:11000")
    for (const wrong of ["", "ftp://h:1", "http://", "http://h:1/path", "http://h:1?x=1", "http://u@h:1", "h:99999"]) {
      assert.strictEqual(parseEndpoint(wrong), undefined, wrong)
    }
  })

  it("a flag's environment variable is its name in capitals", () => {
    assert.strictEqual(environmentName("data-dir"), "DISTKV_DATA_DIR")
  })
})
