/** Who votes in a membership, written apart from the production rule, so that the two cannot share a mistake. */
import type { NodeId } from "../domain/Identity.ts"
import type { Membership } from "../domain/Membership.ts"

export const votersOf = (membership: Membership): ReadonlyArray<NodeId> =>
  membership.members.flatMap(({ id, standing }) => standing === "voter" ? [id] : [])
