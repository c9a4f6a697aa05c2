/**
 * Somebody who changes a simulated cluster while it suffers: lets nodes join or adds them, removes members for good,
 * promotes and demotes, through whichever node is at hand. Whatever an order comes to, the cluster has to stay sound.
 */
import { Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import type { NodeId } from "../domain/Identity.ts"
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

  /** `prepare` hears of each new node before it starts. */
  constructor(cluster: SimCluster<App>, plan: SimPlan, random: Prng, prepare: (node: SimNode<App>) => void) {
    this.cluster = cluster
    this.plan = plan
    this.random = random
    this.prepare = prepare
  }

  acts(): Partial<Record<FaultClass, () => void>> {
    return {
      join: () => this.join(),
      remove: () => this.remove(),
      standing: () => this.stand(),
      address: () => this.move()
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

  /** A node through which orders are given: this one, or any that runs. */
  private ask(order: (kv: DistKv["Service"]) => Effect.Effect<unknown, unknown>, at?: SimNode<App>): void {
    if (at !== undefined) return void at.fork(Effect.ignore(Effect.flatMap(DistKv, order)))
    const running = [...this.cluster.nodes.values()].filter((node) => node.services !== null)
    if (running.length === 0) return
    this.random.pick(running).fork(Effect.ignore(Effect.flatMap(DistKv, order)))
  }

  /** A member by the last committed membership; the leader more often than others. */
  private anyMember(): NodeId | null {
    const leader = this.cluster.leader()
    if (leader !== null && this.random.chance(0.3)) return leader
    const members = this.cluster.ids.filter((id) => this.cluster.isMember(id))
    return members.length === 0 ? null : this.random.pick(members)
  }

  /** A new node asks the members it knows to be admitted, or is added by order while it waits. */
  private join(): void {
    if (this.came >= Math.min(mostNewNodes, extraNodes + this.sentAway.size)) return
    const id = `n${this.plan.nodes + ++this.came}`
    const isAdded = this.random.chance(0.3)
    const learner = this.random.chance(0.2)
    this.note(isAdded ? `${id} is added` : `${id} asks to join`)
    const node = isAdded ? this.cluster.addNode(id, "await") : this.cluster.addNode(id)
    this.prepare(node)
    node.start()
    if (!isAdded) return
    const member = { id, address: addressOf(id), publicKey: publicKeyOf(id), learner }
    this.ask((kv) => kv.members.add(member, { timeout: orderPatienceMs }))
  }

  private remove(at?: SimNode<App>): void {
    const id = this.anyMember()
    const members = this.cluster.ids.filter((one) => this.cluster.isMember(one) && !this.sentAway.has(one))
    if (id === null || members.length <= 1) return
    this.note(`${id} is to be removed`)
    this.sentAway.add(id)
    this.ask((kv) => kv.members.remove(id, { timeout: orderPatienceMs }), at)
  }

  private stand(at?: SimNode<App>): void {
    const isPromotion = this.random.chance(0.5)
    const learners = this.cluster.ids.filter((one) => this.cluster.view.standingOf(one) === "learner")
    const id = isPromotion && learners.length > 0 ? this.random.pick(learners) : this.anyMember()
    if (id === null) return
    this.note(`${id} is to be ${isPromotion ? "promoted" : "demoted"}`)
    this.ask((kv) => kv.members[isPromotion ? "promote" : "demote"](id, { timeout: orderPatienceMs }), at)
  }

  /** A member is elsewhere, as far as the others know. */
  private move(at?: SimNode<App>): void {
    const id = this.anyMember()
    if (id === null) return
    this.note(`${id} is said to have moved`)
    const address = `${id}:${this.random.int(7001, 7999)}`
    this.ask((kv) => kv.members.updateAddress(id, address, { timeout: orderPatienceMs }), at)
  }
}
