/** Temporary directories and key files for the tests. */
import { Effect, type Scope } from "effect"
import { generateKeyPairSync } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** A directory of its own that goes with the scope. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "distkv-ssh-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

/** An RSA key as Go's x509.MarshalPKCS1PrivateKey writes it. */
export const makeRsaPem = (bits: number, passphrase?: string): string => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: bits })
  const encryption = passphrase === undefined ? {} : { cipher: "aes-256-cbc", passphrase }
  return privateKey.export({ type: "pkcs1", format: "pem", ...encryption }).toString()
}
