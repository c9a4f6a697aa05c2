/** Ways to damage what is on disk, as failing disks and careless people do. The environment must be closed. */
import { Effect } from "effect"
import { open } from "lmdb"
import { open as openFile, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"

const binary = { encoding: "binary", keyEncoding: "binary" } as const

export const indexKey = (index: number): Buffer => {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(index))
  return key
}

/** Changes rows of a sub-database behind the store's back, in a way that LMDB itself cannot notice. */
export const changeRow = (path: string, rows: string, key: Buffer, change: (value: Buffer) => Buffer | null) =>
  Effect.promise(async () => {
    const root = open<Buffer, Buffer>({ path, ...binary, overlappingSync: false })
    const database = root.openDB<Buffer, Buffer>({ name: rows, ...binary })
    const found = database.getBinary(key)
    if (found === undefined) throw new Error(`no such row: ${rows} ${key.toString("hex")}`)
    const changed = change(Buffer.from(found))
    await (changed === null ? database.remove(key) : database.put(key, changed))
    await root.close()
  })

/** How many rows a sub-database has. */
export const countRows = (path: string, rows: string) =>
  Effect.promise(async () => {
    const root = open<Buffer, Buffer>({ path, ...binary, overlappingSync: false })
    const count = root.openDB<Buffer, Buffer>({ name: rows, ...binary }).getKeysCount()
    await root.close()
    return count
  })

/** Flips one bit in the middle of a row. */
export const flipRow = (path: string, rows: string, key: Buffer) =>
  changeRow(path, rows, key, (value) => {
    const middle = value.length >> 1
    value[middle] = value[middle]! ^ 4
    return value
  })

/** Writes over a part of a file. */
export const overwrite = (path: string, offset: number, bytes: Buffer) =>
  Effect.promise(async () => {
    const file = await openFile(path, "r+")
    try {
      await file.write(bytes, 0, bytes.length, offset)
    } finally {
      await file.close()
    }
  })

/** Flips one bit of the record of this index, of term 1, wherever in the folder of segments it is. */
export const flipInSegments = (folder: string, index: number) =>
  Effect.promise(async () => {
    const position = Buffer.alloc(16)
    position.writeBigUInt64LE(1n, 0)
    position.writeBigUInt64LE(BigInt(index), 8)
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const bytes = await readFile(path)
      const at = bytes.indexOf(position)
      if (at < 0) continue
      bytes[at + 42] = bytes[at + 42]! ^ 4 // the record's position is at 8, its payload begins at 48
      return await writeFile(path, bytes)
    }
    throw new Error(`no segment in ${folder} has a record of index ${index}`)
  })
