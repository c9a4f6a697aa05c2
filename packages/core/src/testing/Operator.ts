/**
 * Somebody who changes a simulated cluster while it suffers: lets nodes join or adds them, removes members for good,
 * replaces those that are lost, promotes and demotes, through whichever node is at hand. Whatever an order comes to,
 * the cluster has to stay sound.
 */
import { Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import type { Address, NodeId } from "../domain/Identity.ts"
import { addressOf } from "./Founding.ts"
import type { Prng } from "./Prng.ts"
import type { SimCluster } from "./SimCluster.ts"
import { publicKeyOf } from "./SimEndpoint.ts"
import type { SimNode } from "./SimNode.ts"
import type { FaultClass, SimPlan } from "./SimPlan.ts"

/** Nodes that come beside the first ones: this many, and one for each that was removed … */
const extraNodes = 2
/** … up to so many in one run. */
const mostNewNodes = 12

/** How long an order may take, in simulated milliseconds. */
export const orderPatienceMs = 3000

export class Operator<App = never> {
  private readonly cluster: SimCluster<App>
  private readonly plan: SimPlan
  private readonly random: Prng
  private readonly prepare: (node: SimNode<App>) => void
  private came = 0
  private readonly sentAway = new Set<NodeId>()
  /** Who came in the place of another one, and how that is counted. */
  private readonly successors = new Map<NodeId, string>()

  /** `prepare` hears of each new node before it starts. */
  constructor(cluster: SimCluster<App>, plan: SimPlan, random: Prng, prepare: (node: SimNode<App>) => void) {
    this.cluster = cluster
    this.plan = plan
    this.random = random
    this.prepare = prepare
  }

  acts(): Partial<Record<FaultClass, () => boolean>> {
    return {
      join: () => this.join(),
      remove: () => this.remove(),
      standing: () => this.stand(),
      address: () => this.move(),
      replace: () => this.replace()
    }
  }

  /** Gives one of the orders of this run to this very node. */
  order(node: SimNode<App>): void {
    const orders = [() => this.remove(node), () => this.stand(node), () => this.move(node)]
    const names = ["remove", "standing", "address"] as const
    const given = orders.filter((_, i) => this.plan.classes.has(names[i]!))
    if (given.length > 0) this.random.pick(given)()
  }

  private note(text: string): void {
    this.cluster.world.timeline.record(this.cluster.now, null, text)
  }

  /** Gives an order through this node, or any that runs. Returns whether there was one to hear it. */
  private ask(order: (kv: DistKv["Service"]) => Effect.Effect<unknown, unknown>, at?: SimNode<App>): boolean {
    if (at !== undefined) return at.fork(Effect.ignore(Effect.flatMap(DistKv, order))) !== null
    const running = [...this.cluster.nodes.values()].filter((node) => node.services !== null)
    if (running.length === 0) return false
    return this.random.pick(running).fork(Effect.ignore(Effect.flatMap(DistKv, order))) !== null
  }

  /** A member by the last committed membership; the leader more often than others. */
  private anyMember(): NodeId | null {
    const leader = this.cluster.leader()
    if (leader !== null && this.random.chance(0.3)) return leader
    const members = this.cluster.ids.filter((id) => this.cluster.isMember(id))
    return members.length === 0 ? null : this.random.pick(members)
  }

  /** A new node asks the members it knows to be admitted, or is added by order while it waits. */
  private join(): boolean {
    if (this.came >= Math.min(mostNewNodes, extraNodes + this.sentAway.size)) return false
    this.admit()
    return true
  }

  /** At the given address, or at one of its own. */
  private admit(where?: Address): SimNode<App> {
    const id = `n${this.plan.nodes + ++this.came}`
    const address = where ?? addressOf(id)
    const isAdded = this.random.chance(0.3)
    const learner = this.random.chance(0.2)
    const place = where === undefined ? "" : ` at ${where}`
    this.note(isAdded ? `${id} is added${place}` : `${id} asks to join${place}`)
    const node = this.cluster.addNode(id, isAdded ? "await" : undefined, address)
    this.prepare(node)
    node.start()
    if (isAdded) {
      const member = { id, address, publicKey: publicKeyOf(id), learner }
      this.ask((kv) => kv.members.add(member, { timeout: orderPatienceMs }))
    }
    return node
  }

  /**
   * Where a removed node was, or one whose disk is lost, comes another one under a new name. The lost one is removed
   * for good, before the new one has come or after it.
   */
  private replace(): boolean {
    if (this.came >= mostNewNodes) return false
    const isRemoved = ({ id }: SimNode<App>) => this.cluster.view.everMembers.has(id) && !this.cluster.isMember(id)
    const isLost = ({ disk }: SimNode<App>) => disk.isLost && !disk.isRolledBack
    const free = [...this.cluster.nodes.values()].filter((node) => !node.isGone && (isRemoved(node) || isLost(node)))
    if (free.length === 0) return false
    const old = this.random.pick(free)
    const wasRemoved = isRemoved(old)
    old.retire()
    this.note(`${old.id} is taken away`)
    const remove = () => {
      if (wasRemoved || this.sentAway.has(old.id)) return
      this.note(`${old.id} is to be removed`)
      this.sentAway.add(old.id)
      this.ask((kv) => kv.members.remove(old.id, { timeout: orderPatienceMs }))
    }
    const isRemovedFirst = this.random.chance(0.5)
    if (isRemovedFirst) remove()
    const node = this.admit(old.address)
    this.successors.set(node.id, wasRemoved ? "came where a removed one was" : "came for a lost one")
    if (!isRemovedFirst) remove()
    return true
  }

  /** What came of the orders, by names for the counts. */
  tell(count: (name: string) => void): void {
    const { everMembers } = this.cluster.view
    for (let i = 1; i <= this.came; i++) {
      const id = `n${this.plan.nodes + i}` as NodeId
      if (!everMembers.has(id)) continue
      count("joined")
      const how = this.successors.get(id)
      if (how !== undefined) count(how)
    }
    for (const id of this.sentAway) if (!this.cluster.isMember(id)) count("removed")
  }

  private remove(at?: SimNode<App>): boolean {
    const id = this.anyMember()
    const members = this.cluster.ids.filter((one) => this.cluster.isMember(one) && !this.sentAway.has(one))
    if (id === null || members.length <= 1) return false
    this.note(`${id} is to be removed`)
    this.sentAway.add(id)
    return this.ask((kv) => kv.members.remove(id, { timeout: orderPatienceMs }), at)
  }

  private stand(at?: SimNode<App>): boolean {
    const isPromotion = this.random.chance(0.5)
    const learners = this.cluster.ids.filter((one) => this.cluster.view.standingOf(one) === "learner")
    const id = isPromotion && learners.length > 0 ? this.random.pick(learners) : this.anyMember()
    if (id === null) return false
    this.note(`${id} is to be ${isPromotion ? "promoted" : "demoted"}`)
    return this.ask((kv) => kv.members[isPromotion ? "promote" : "demote"](id, { timeout: orderPatienceMs }), at)
  }

  /** A member is elsewhere, as far as the others know. */
  private move(at?: SimNode<App>): boolean {
    const id = this.anyMember()
    if (id === null) return false
    this.note(`${id} is said to have moved`)
    const address = `${id}:${this.random.int(7001, 7999)}`
    return this.ask((kv) => kv.members.updateAddress(id, address, { timeout: orderPatienceMs }), at)
  }
}
