/** The file `identity.json`: what makes the directory this node and no other. */
import type { Identity } from "@distkv/core"
import { howToReplace, Identity as IdentitySchema, StorageFailed } from "@distkv/core"
import { Schema } from "effect"
import { crc32 } from "node:zlib"
import { readFileIfPresent, replaceFile } from "./DurableFile.ts"
import { newerFormat, reasonOf } from "./Failure.ts"

export const identityFormat = 1

const Content = Schema.Struct({
  format: Schema.Literal(identityFormat),
  ...IdentitySchema.fields,
  /** CRC-32 of the identity's own JSON, so that a flipped bit is not another node. */
  checksum: Schema.Int
})

const Versioned = Schema.fromJsonString(Schema.Struct({ format: Schema.Int }))
const decodeVersion = Schema.decodeUnknownSync(Versioned)
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.toCodecJson(Content)))

/** Always in this order, whatever the order in the file. */
const plain = ({ clusterId, founding, incarnation, nodeId, raftPort, refused }: Identity): Identity => ({
  nodeId,
  incarnation,
  clusterId,
  founding,
  raftPort,
  // Absent where the node was never refused, as in files from before there were refusals.
  ...(refused === undefined ? {} : { refused })
})

const checksumOf = (identity: Identity): number => crc32(JSON.stringify(plain(identity)))

/** The identity in the file, null where there is none. Rejects with `StorageFailed` where it is damaged or newer. */
export const readIdentity = async (path: string): Promise<Identity | null> => {
  const bytes = await readFileIfPresent(path)
  if (bytes === null) return null
  const text = bytes.toString("utf8")
  const damaged = (why: string) =>
    new StorageFailed({ message: `the identity file ${path} is damaged: ${why}. Restore it, or: ${howToReplace}` })
  let format: number
  try {
    format = decodeVersion(text).format
  } catch (cause) {
    throw damaged(reasonOf(cause))
  }
  if (format > identityFormat) throw newerFormat(path, format, identityFormat)
  let content: typeof Content.Type
  try {
    content = decode(text)
  } catch (cause) {
    throw damaged(reasonOf(cause))
  }
  if (content.checksum !== checksumOf(content)) throw damaged("its checksum is wrong")
  return plain(content)
}

/** Resolves when the identity is durable. */
export const writeIdentity = (path: string, identity: Identity): Promise<void> => {
  const content = { format: identityFormat, ...plain(identity), checksum: checksumOf(identity) }
  return replaceFile(path, Buffer.from(`${JSON.stringify(content, null, 2)}\n`))
}
