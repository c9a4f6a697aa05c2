/** Whose time a CPU profile shows. */

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: ReadonlyArray<number>
}

/** As V8 writes it; `timeDeltas` are microseconds before each sample. */
export interface CpuProfile {
  readonly nodes: ReadonlyArray<ProfileNode>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

/** The first that fits counts. */
const places: ReadonlyArray<readonly [owner: string, fits: RegExp]> = [
  ["SSH", /node_modules\/(ssh2|asn1|bcrypt-pbkdf|tweetnacl|safer-buffer)\/|packages\/transport-ssh\//],
  ["storage", /node_modules\/(lmdb|msgpackr|ordered-binary|weak-lru-cache)|packages\/storage-lmdb\//],
  ["HTTP", /packages\/server\/|node:_http|node:internal\/http/],
  ["core: codec", /packages\/core\/src\/domain\//],
  ["core", /packages\/core\//],
  ["Effect", /node_modules\/(effect|@effect)\//]
]

const special = new Map([
  ["(garbage collector)", "collection"],
  ["(idle)", "idle"],
  ["(program)", "Node"],
  ["(root)", "Node"]
])

const placeOf = ({ functionName, url }: ProfileNode["callFrame"]): string | undefined =>
  special.get(functionName) ?? places.find(([, fits]) => fits.test(url))?.[0]

/** A name that tells functions apart, without the machine's paths. */
const nameOf = ({ functionName, lineNumber, url }: ProfileNode["callFrame"]): string => {
  const file = url.replace(/^.*\/(?=node_modules\/|packages\/)/, "").replace(/^.*node_modules\//, "")
  return `${functionName === "" ? "(anonymous)" : functionName}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`
}

export interface Owned {
  /** Microseconds by owner. */
  readonly owners: ReadonlyMap<string, number>
  /** With the most self time first. */
  readonly functions: ReadonlyArray<{ readonly name: string; readonly owner: string; readonly micros: number }>
  readonly total: number
}

/** Self time by owner; a function of the platform counts for the nearest caller that has an owner. */
export const ownersOf = (profile: CpuProfile): Owned => {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const owner = new Map<number, string>()
  const assign = (root: ProfileNode) => {
    const waiting: Array<readonly [ProfileNode, string]> = [[root, "Node"]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [node, above] = next
      const own = placeOf(node.callFrame) ?? above
      owner.set(node.id, own)
      for (const id of node.children ?? []) {
        const child = byId.get(id)
        if (child !== undefined) waiting.push([child, own])
      }
    }
  }
  const [root] = profile.nodes
  if (root !== undefined) assign(root)
  const owners = new Map<string, number>()
  const functions = new Map<string, { name: string; owner: string; micros: number }>()
  let total = 0
  profile.samples.forEach((id, i) => {
    const micros = Math.max(0, profile.timeDeltas[i] ?? 0)
    const node = byId.get(id)
    if (node === undefined || node.callFrame.url === "node:inspector") return // the profiler, not the program
    const whose = owner.get(id) ?? "Node"
    const name = nameOf(node.callFrame)
    const one = functions.get(`${whose} ${name}`) ?? { name, owner: whose, micros: 0 }
    one.micros += micros
    functions.set(`${whose} ${name}`, one)
    owners.set(whose, (owners.get(whose) ?? 0) + micros)
    total += micros
  })
  return { owners, total, functions: [...functions.values()].toSorted((a, b) => b.micros - a.micros) }
}
