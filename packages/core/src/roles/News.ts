/** What every role does alike with what the fibers beside the owner have to say. */
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { SnapshotNews } from "../state/SnapshotDesk.ts"
import { compact, goOnFrom } from "./Compacting.ts"
import type { NodeState } from "./NodeState.ts"
import { takeIncoming, tryInstall } from "./SnapshotReceiving.ts"

type News = SnapshotNews | Extract<NodeMessage, { readonly _tag: "ApplyMore" | "SpaceChanged" }>

export const takeNews = (node: NodeState, news: News): void => {
  switch (news._tag) {
    case "ApplyMore":
      return node.applyMore()
    case "SpaceChanged":
      node.diskFull = news.full
      node.spaceLeft = news.bytes
      return
    case "Checkpointed":
      tryInstall(node)
      return compact(node)
    case "SnapshotKept":
    case "SnapshotPrepared":
    case "SnapshotRefused":
      return takeIncoming(node, news)
    case "SnapshotInstalled":
      node.incoming = null
      goOnFrom(node, news.meta)
      return compact(node)
    case "SnapshotBuilt":
    case "SnapshotRead":
      // Only a leader sends any; this one leads no more.
      return
  }
}
