/** Which of ssh2's two ways to encrypt is at work: its native addon where it was built, else JavaScript. */
import { createRequire } from "node:module"

const load = createRequire(import.meta.url)
// The addon is no part of ssh2's public interface; this module tells whether it was found.
const found: unknown = load("ssh2/lib/protocol/crypto.js")

/** A packet costs several times as much processor time in JavaScript; both speak the same protocol. */
export const encryption: "native" | "JavaScript" =
  typeof found === "object" && found !== null && "bindingAvailable" in found && found.bindingAvailable === true
    ? "native"
    : "JavaScript"
