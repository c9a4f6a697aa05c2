/**
 * Frames in bulk from an authenticated peer that does not speak the protocol: the test of them, at full size.
 *
 * scenario: A10
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { atLeast, conclude } from "./Report.ts"
import { numberOf, readOptions } from "./Site.ts"

const help =
  `npm run chaos -- frames [options]: altered frames from an authenticated peer change nothing and end nothing

  --frames N             default 1000000
`

const root = fileURLToPath(new URL("..", import.meta.url))

export const frames = async (args: ReadonlyArray<string>): Promise<void> => {
  const values = readOptions(args, { frames: { type: "string", default: "1000000" } } as const, help)
  if (values === undefined) return
  const count = numberOf(values.frames, "frames")
  const began = performance.now()
  const test = ["run", "--config", "vitest.workspace.ts", "--project", "transport-ssh", "HostileFrames"]
  const child = spawn("vitest", test, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, DISTKV_HOSTILE_FRAMES: String(count) }
  })
  const [code]: Array<unknown> = await once(child, "exit")
  conclude({
    command: "frames",
    seed: null,
    seconds: (performance.now() - began) / 1000,
    figures: [atLeast("frames", count, 1_000_000, "")],
    counts: {},
    problems: code === 0 ? [] : ["a frame ended the process or changed a node: see above"]
  })
}
