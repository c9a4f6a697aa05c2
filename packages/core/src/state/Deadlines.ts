/**
 * Deadlines of many requests, swept by one fiber: adding and removing cost a set operation each.
 *
 * Deadlines are rounded up to 32 ms, so a request may live that much longer than it asked for.
 */
const slotMs = 32

export class Deadlines<A extends { readonly deadline: number }> {
  private readonly slots = new Map<number, Set<A>>()

  get isEmpty(): boolean {
    return this.slots.size === 0
  }

  add(item: A): void {
    const slot = slotOf(item)
    const set = this.slots.get(slot)
    if (set === undefined) this.slots.set(slot, new Set([item]))
    else set.add(item)
  }

  remove(item: A): void {
    const slot = slotOf(item)
    const set = this.slots.get(slot)
    if (set === undefined) return
    set.delete(item)
    if (set.size === 0) this.slots.delete(slot)
  }

  /** Takes all items whose deadline is over at `now`, oldest first. */
  expire(now: number): ReadonlyArray<A> {
    if (this.slots.size === 0) return []
    const expired: Array<A> = []
    const current = Math.floor(now / slotMs)
    const due = [...this.slots.keys()].filter((slot) => slot <= current).sort((a, b) => a - b)
    for (const slot of due) {
      for (const item of this.slots.get(slot)!) expired.push(item)
      this.slots.delete(slot)
    }
    return expired
  }

  clear(): ReadonlyArray<A> {
    const all = [...this.slots.values()].flatMap((set) => [...set])
    this.slots.clear()
    return all
  }
}

const slotOf = (item: { readonly deadline: number }): number => Math.ceil(item.deadline / slotMs)
