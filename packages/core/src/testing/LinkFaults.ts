/** Faults of links: cut, one way or both, flapping, clogged, slow, and mended at the worst moment. */
import type { Acts, Adversary } from "./Adversary.ts"
import { FaultMaker } from "./FaultMaker.ts"
import { forgeEnvelope } from "./Forger.ts"
import { cutsOfRing } from "./Ring.ts"

class LinkFaults<App> extends FaultMaker<App> {
  /** Mends all links; in some runs the leader dies at that very moment, so that whoever was cut off may win. */
  private readonly healLater = () =>
    this.adversary.later(this.adversary.lasting(), () => {
      this.cluster.heal()
      const leader = this.cluster.leader()
      if (leader === null || !this.adversary.plan.classes.has("coup") || !this.random.chance(0.5)) return
      this.adversary.count("coup")
      const node = this.cluster.node(leader)
      node.crash()
      this.adversary.revive(node)
    })

  readonly isolate = () => {
    const node = this.adversary.anyNode()
    this.cluster.isolate(node.id)
    this.adversary.misdirect(node)
    // What only the node that is cut off has in its log makes its log differ from all others'.
    if (this.adversary.plan.classes.has("burst") && this.random.chance(0.7)) {
      this.adversary.hooks.burst(node, this.random.int(5, 40))
    }
    this.healLater()
    return this.cluster.ids.length > 1
  }

  readonly partition = () => {
    const ids = this.random.shuffle(this.cluster.ids)
    const cut = this.random.int(1, Math.max(1, ids.length - 1))
    this.cluster.partition(ids.slice(0, cut), ids.slice(cut))
    this.healLater()
    return ids.length > 1
  }

  /** Everybody reaches a majority, and no two the same one: each only those next to it in a drawn ring. */
  readonly ring = () => {
    const ids = this.random.shuffle(this.cluster.ids)
    const cut = cutsOfRing(ids)
    if (cut.length === 0) return false
    this.adversary.note(`each reaches only those next to it in the ring ${ids.join(" ")}`)
    for (const [a, b] of cut) this.cluster.network.partition([a], [b])
    this.healLater()
    return true
  }

  /** Some links lose everything in one direction. */
  readonly oneWay = () => {
    const node = this.adversary.anyNode().id
    const isDeaf = this.random.chance(0.5)
    const others = this.cluster.ids.filter((id) => id !== node && this.random.chance(0.7))
    this.adversary.note(`${node} ${isDeaf ? "hears" : "reaches"} none of ${others.join(" ")}`)
    for (const other of others) isDeaf ? this.cluster.network.cut(other, node) : this.cluster.network.cut(node, other)
    this.healLater()
    return others.length > 0
  }

  private readonly pairs = () =>
    this.cluster.ids.flatMap((a, i) => this.cluster.ids.slice(i + 1).map((b) => [a, b] as const))

  /** Single links fail both ways, so that not everybody sees everybody. */
  readonly partial = () => {
    const cut = this.pairs().filter(() => this.random.chance(0.4))
    this.adversary.note(`no link ${cut.map(([a, b]) => `${a}-${b}`).join(" ")}`)
    for (const [a, b] of cut) this.cluster.partition([a], [b])
    this.healLater()
    return cut.length > 0
  }

  /** One node is the only bridge between two halves. */
  readonly bridge = () => {
    const [middle, ...rest] = this.random.shuffle(this.cluster.ids)
    const cut = this.random.int(1, Math.max(1, rest.length - 1))
    this.adversary.note(`only ${middle} reaches both sides`)
    this.cluster.partition(rest.slice(0, cut), rest.slice(cut))
    this.healLater()
    return rest.length > 1
  }

  /** A node's links fail one after the other, and come back in another order. */
  readonly swizzle = () => {
    const node = this.adversary.anyNode().id
    const step = this.random.between(0.1, 1) * this.electionTimeoutMs
    const order = () => this.random.shuffle(this.cluster.ids.filter((id) => id !== node))
    this.adversary.note(`the links of ${node} fail one after the other, every ${step.toFixed(0)} ms`)
    const others = order()
    others.forEach((other, i) => this.adversary.later(i * step, () => this.cluster.partition([node], [other])))
    const whole = others.length * step + this.adversary.lasting()
    order().forEach((other, i) =>
      this.adversary.later(whole + i * step, () => {
        this.cluster.network.heal(node, other)
        this.cluster.network.heal(other, node)
      })
    )
    return others.length > 0
  }

  /** A link comes and goes. */
  readonly flap = () => {
    const [a, b] = this.random.shuffle(this.cluster.ids)
    if (a === undefined || b === undefined) return false
    const period = this.random.between(0.2, 3) * this.electionTimeoutMs
    this.adversary.note(`link ${a}-${b} flaps every ${period.toFixed(0)} ms`)
    const toggle = (left: number, isUp: boolean) => {
      if (left === 0 || isUp) {
        this.cluster.network.heal(a, b)
        this.cluster.network.heal(b, a)
      } else this.cluster.network.partition([a], [b])
      if (left > 0) this.adversary.later(period, () => toggle(left - 1, !isUp))
    }
    toggle(this.random.int(2, 12), false)
    return true
  }

  readonly clog = () => {
    const ms = this.adversary.lasting()
    let clogged = 0
    for (const from of this.cluster.ids) {
      for (const to of this.cluster.ids) {
        if (from === to || !this.random.chance(0.3)) continue
        this.cluster.network.clog(from, to, ms)
        clogged++
      }
    }
    this.adversary.note(`some links are clogged for ${ms.toFixed(0)} ms`)
    return clogged > 0
  }

  /** Everything that a node sends, or is sent, takes long. */
  readonly slowLink = () => {
    const node = this.adversary.anyNode().id
    const ms = this.random.between(0.1, 2) * this.electionTimeoutMs
    const isOut = this.random.chance(0.5)
    this.adversary.note(`what ${node} ${isOut ? "sends" : "is sent"} takes ${ms.toFixed(0)} ms`)
    const links = this.cluster.ids.filter((id) => id !== node && this.random.chance(0.6))
      .map((id) => isOut ? [node, id] as const : [id, node] as const)
    for (const [from, to] of links) this.cluster.network.slow(from, to, ms)
    this.adversary.later(this.adversary.lasting(), () => {
      for (const [from, to] of links) this.cluster.network.slow(from, to, 0)
    })
    return links.length > 0
  }

  /** Somebody who may not says something that would matter. */
  readonly forge = () => {
    const target = this.adversary.anyNode()
    const { identity } = target.disk
    if (!target.isRunning || identity?.clusterId == null || !this.cluster.isMember(target.id)) return false
    // Only of members that it knows can it tell who is who.
    const { configs, log } = this.cluster.view.node(target.id)
    const members = log[(configs.at(-1) ?? 0) - 1]?.members ?? []
    const known = members.filter((id) => this.cluster.network.hasMet(target.id, id))
    if (known.length === 0) return false
    const other = this.cluster.node(this.random.pick(known))
    return this.cluster.network.inject(target.id, forgeEnvelope(this.random, identity.clusterId, other.disk))
  }
}

export const linkFaults = <App>(adversary: Adversary<App>): Acts => {
  const { isolate, partition, ring, oneWay, partial, bridge, swizzle, flap, clog, slowLink, forge } = new LinkFaults(
    adversary
  )
  return { isolate, partition, ring, oneWay, partial, bridge, swizzle, flap, clog, slowLink, forge }
}
