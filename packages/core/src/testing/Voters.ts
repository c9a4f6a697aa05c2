/** What a membership says, written apart from the production rules, so that the two cannot share a mistake. */
import type { NodeId } from "../domain/Identity.ts"
import type { Membership } from "../domain/Membership.ts"

export const votersOf = (membership: Membership): ReadonlyArray<NodeId> =>
  membership.members.flatMap(({ id, standing }) => standing === "voter" ? [id] : [])

/** Equal for equal memberships. */
export const configText = ({ features, members, tombstones }: Membership): string =>
  [
    ...members.map(({ address, http, id, incarnation, publicKey, standing }) =>
      [id, standing, address, http, publicKey, incarnation].join(" ")
    ),
    ...tombstones.map(({ id, publicKey }) => `gone ${id} ${publicKey}`),
    `features ${features ?? 0}`
  ].join(", ")
