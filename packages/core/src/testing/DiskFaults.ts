/** Faults of disks: slow, hung, failing once or for a while, full, wiped. */
import type { Acts, Adversary } from "./Adversary.ts"
import { FaultMaker } from "./FaultMaker.ts"

class DiskFaults<App> extends FaultMaker<App> {
  readonly slowDisk = () => {
    const node = this.adversary.anyNode()
    const { logDevice } = node.disk
    const before = logDevice.faults.meanDelayMs
    logDevice.faults.meanDelayMs = this.random.between(0.1, 1.5) * this.electionTimeoutMs
    this.adversary.later(this.adversary.lasting(), () => void (logDevice.faults.meanDelayMs = before))
    return node.isRunning
  }

  readonly hangDisk = () => {
    const node = this.adversary.anyNode()
    const device = this.random.chance(0.7) ? node.disk.logDevice : node.disk.stateDevice
    device.hang()
    this.adversary.note(`the ${device === node.disk.logDevice ? "log" : "state"} disk of ${node.id} hangs`)
    this.adversary.later(this.adversary.lasting() * 2, () => {
      // What hung that long goes on only after a power cycle, or by itself.
      if (this.random.chance(0.5)) node.crash()
      device.resume()
      if (!node.isRunning && !this.adversary.lost.has(node.id)) node.start()
    })
    this.adversary.reviveWhenStopped(node)
    return node.isRunning
  }

  /** One write fails, or all do until the device is replaced. */
  readonly failDisk = () => {
    const node = this.adversary.anyNode()
    const device = this.random.chance(0.7) ? node.disk.logDevice : node.disk.stateDevice
    const isLasting = this.random.chance(0.3)
    device.faults.failNext = isLasting ? Number.POSITIVE_INFINITY : 1
    if (isLasting) this.adversary.later(this.adversary.lasting() * 2, () => void (device.faults.failNext = 0))
    this.adversary.reviveWhenStopped(node)
    return node.isRunning
  }

  /** The disk reserve is reached, which nodes see before it hurts. */
  readonly fullDisk = () => {
    const node = this.adversary.anyNode()
    node.disk.spaceLeft = -1
    this.adversary.note(`the disk of ${node.id} is full`)
    this.adversary.later(this.adversary.lasting() * 2, () => void (node.disk.spaceLeft = 1_000_000))
    return node.isRunning
  }

  /** There is no space at all: writes fail, and nothing of them is on the disk. */
  readonly noSpace = () => {
    const node = this.adversary.anyNode()
    const devices = [node.disk.logDevice, node.disk.stateDevice]
    for (const device of devices) device.faults.refuses = true
    this.adversary.note(`writes of ${node.id} find no space`)
    this.adversary.later(this.adversary.lasting(), () => {
      for (const device of devices) device.faults.refuses = false
    })
    this.adversary.reviveWhenStopped(node)
    return node.isRunning
  }

  /** The disk is replaced by an empty one: whoever was on it is a new node, and must not be taken for the old one. */
  readonly wipe = () => {
    const node = this.adversary.spareVoter()
    // The founder would found another cluster in its empty directory, which is nothing of this one.
    if (node === null || (this.adversary.plan.begin === "joined" && node.id === "n1")) return false
    this.adversary.lost.add(node.id)
    node.crash()
    node.disk.isLost = true
    node.disk.wipe()
    this.adversary.note(`the disk of ${node.id} is wiped`)
    this.adversary.later(this.adversary.lasting(), () => node.start())
    return true
  }
}

export const diskFaults = <App>(adversary: Adversary<App>): Acts => {
  const { slowDisk, hangDisk, failDisk, fullDisk, noSpace, wipe } = new DiskFaults(adversary)
  return { slowDisk, hangDisk, failDisk, fullDisk, noSpace, wipe }
}
