/** Faults of what is stored: a bit flips in the log, in a row of the state, in what a start reads, in a snapshot. */
import type { LogIndex } from "../domain/Position.ts"
import type { Acts, Adversary } from "./Adversary.ts"
import { FaultMaker } from "./FaultMaker.ts"
import type { SimNode } from "./SimNode.ts"

class RotFaults<App> extends FaultMaker<App> {
  /** A bit of the durable log flips: the record must never be taken for another. */
  readonly rot = () => {
    const node = this.adversary.spareVoter()
    if (node === null || node.disk.last === node.disk.base.index) return false
    this.adversary.lost.add(node.id)
    const index = this.random.int(node.disk.base.index + 1, node.disk.last) as LogIndex
    node.disk.isLost = true
    node.disk.flipBit(index, this.random.int(0, 100_000))
    this.adversary.note(`a bit of entry ${index} flips on the disk of ${node.id}`)
    if (this.random.chance(0.5)) {
      node.crash()
      this.adversary.later(this.adversary.lasting(), () => node.start())
    }
    return true
  }

  /** A bit of a checkpointed row flips: whoever reads the row learns so, and the node ends. */
  readonly rotRow = () => {
    const node = this.adversary.spareVoter()
    if (node === null || node.disk.state.keys.length === 0) return false
    this.adversary.lost.add(node.id)
    node.disk.isLost = true
    const key = this.random.pick(node.disk.state.keys)
    node.disk.state.flipRow(key)
    this.adversary.note(`a bit of the row of ${key} flips on the disk of ${node.id}`)
    // What is in memory is not read from the disk: a start reads.
    if (this.random.chance(0.8)) node.crash()
    this.keepTrying(node, 3)
    return true
  }

  /** Power fails, and afterwards its term and vote, or who it is, cannot be read: it must not start. */
  readonly rotStart = () => {
    // Any node would do at any time, and one is lost in a run at most: others shall have their turn.
    const node = this.random.chance(0.6) ? this.adversary.spareVoter() : null
    if (node === null || node.disk.identity === null) return false
    this.adversary.lost.add(node.id)
    node.disk.isLost = true
    node.crash()
    const what = this.random.pick(["hard state", "identity"])
    node.disk.damaged = what
    this.adversary.note(`a bit of the ${what} flips on the disk of ${node.id}`)
    this.keepTrying(node, 2)
    return true
  }

  /** A bit of the next piece of a snapshot that a node keeps flips: it must not take the whole for sound. */
  readonly rotSnapshot = () => {
    for (const node of this.adversary.usefulNodes()) node.disk.state.flipNextPiece(this.random.bits())
    this.adversary.note("a bit of the next piece of a snapshot that each node keeps will flip")
    return false
  }

  /** Somebody starts it again and again. */
  private keepTrying(node: SimNode<App>, left: number): void {
    this.adversary.later(this.adversary.lasting(), () => {
      node.start()
      if (left > 0) this.keepTrying(node, left - 1)
    })
  }
}

export const rotFaults = <App>(adversary: Adversary<App>): Acts => {
  const { rot, rotRow, rotStart, rotSnapshot } = new RotFaults(adversary)
  return { rot, rotRow, rotStart, rotSnapshot }
}
