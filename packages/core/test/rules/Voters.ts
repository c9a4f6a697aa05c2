/** Memberships, subsets and match vectors for the tests of the rules, small enough to try all of them. */
import type { Address, NodeId, PublicKey } from "../../src/domain/Identity.ts"
import type { Member, Membership, Standing } from "../../src/domain/Membership.ts"

export const node = (n: number): NodeId => `n${n}` as NodeId

export const nodes = (count: number): ReadonlyArray<NodeId> => Array.from({ length: count }, (_, i) => node(i + 1))

export const member = (id: NodeId, standing: Standing = "voter"): Member => ({
  id,
  incarnation: null,
  publicKey: `ssh-ed25519 ${id}` as PublicKey,
  address: `${id}:7000` as Address,
  http: null,
  standing
})

/** Voters and learners in order of id; `outgoing` makes it a joint configuration. */
export const membership = (
  voters: ReadonlyArray<NodeId>,
  learners: ReadonlyArray<NodeId> = [],
  outgoing: ReadonlyArray<NodeId> | null = null
): Membership => ({
  members: [
    ...voters.map((id) => member(id)),
    ...learners.map((id, i) => member(id, i % 2 === 0 ? "learner" : "joining"))
  ]
    .sort((a, b) => a.id < b.id ? -1 : 1),
  tombstones: [],
  outgoing
})

/** All subsets of `all`. */
export const subsets = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlySet<A>> =>
  Array.from({ length: 2 ** all.length }, (_, bits) => new Set(all.filter((_, i) => (bits >> i) % 2 === 1)))

/** All vectors of `length` numbers from 0 to `highest`. */
export function* vectors(length: number, highest: number): Generator<ReadonlyArray<number>> {
  for (let n = 0; n < (highest + 1) ** length; n++) {
    yield Array.from({ length }, (_, i) => Math.floor(n / (highest + 1) ** i) % (highest + 1))
  }
}
