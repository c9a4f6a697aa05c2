/**
 * What waits until a rising number reaches its own: taken in the order of the numbers, at a cost that depends on what
 * is taken and not on what waits.
 */
export class Thresholds<A> {
  /** The numbers that somebody waits for: a heap, the least one first. */
  private heap: Array<number> = []
  private readonly waiting = new Map<number, Array<A>>()

  get isEmpty(): boolean {
    return this.heap.length === 0
  }

  get size(): number {
    let size = 0
    for (const items of this.waiting.values()) size += items.length
    return size
  }

  add(at: number, item: A): void {
    const items = this.waiting.get(at)
    if (items !== undefined) {
      items.push(item)
      return
    }
    this.waiting.set(at, [item])
    this.rise(at)
  }

  /** Hands over everything that waits for `reached` or less. */
  reach(reached: number, take: (item: A) => void): void {
    while (this.heap.length > 0 && this.heap[0]! <= reached) {
      const at = this.heap[0]!
      this.sink()
      const items = this.waiting.get(at)!
      this.waiting.delete(at)
      for (const item of items) take(item)
    }
  }

  /** Forgets what nobody waits for any more. */
  prune(isOver: (item: A) => boolean): void {
    for (const [at, items] of this.waiting) {
      const left = items.filter((item) => !isOver(item))
      if (left.length > 0) this.waiting.set(at, left)
      else this.waiting.delete(at)
    }
    // What is sorted is a heap.
    this.heap = [...this.waiting.keys()].sort((a, b) => a - b)
  }

  clear(): void {
    this.heap = []
    this.waiting.clear()
  }

  private rise(at: number): void {
    const { heap } = this
    let place = heap.length
    heap.push(at)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (heap[parent]! <= at) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = at
  }

  /** Removes the least number. */
  private sink(): void {
    const { heap } = this
    const moved = heap.pop()!
    if (heap.length === 0) return
    let place = 0
    while (true) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= moved) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = moved
  }
}
