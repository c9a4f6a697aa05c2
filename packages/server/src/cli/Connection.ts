/** The client with which commands talk to nodes; loaded only by the commands that do. */
import { Effect } from "effect"

/** A client of the nodes at these endpoints. */
export const connect = (endpoints: ReadonlyArray<string>) =>
  Effect.flatMap(
    Effect.promise(() => import("../http/client/DistKvClient.ts")),
    ({ DistKvClient }) => DistKvClient.make({ endpoints })
  )
