/**
 * Decides whether a concurrent history is linearizable: whether each operation can be given one instant between its
 * call and its return so that, in the order of these instants, every result is what a sequential object would answer.
 *
 * The search is that of Wing and Gong with Lowe's memo of visited configurations: a configuration is the set of
 * operations already placed together with the object's state, and is never explored twice. A model that splits a
 * history into independent parts (P-compositionality: a store is linearizable when each key is) makes the search short.
 * So does placing at once a mere look that shows what is known already, such as the second of two equal reads: in any
 * order in which it comes later it can be moved to the front, so nothing else need be tried in its place.
 */

/**
 * One operation. `returned` is Infinity where no answer came: it may take effect at any time after its call, or never.
 */
export interface Operation<Input, Output> {
  readonly called: number
  readonly returned: number
  readonly input: Input
  /** Undefined where no answer came. */
  readonly output: Output | undefined
}

/** A sequential object. States are immutable. */
export interface Model<State, Input, Output> {
  readonly initial: State
  /**
   * The state after the operation; undefined when the object could not answer so. Without output any answer is right.
   */
  readonly step: (state: State, input: Input, output: Output | undefined) => State | undefined
  /** Equal texts exactly for equal states. */
  readonly stateKey: (state: State) => string
  /**
   * Where an answer itself says at which place of the object's own order it took effect, such as a revision: no
   * operation takes effect before one of a lower rank. It only shortens the search; `step` must refuse what breaks it.
   */
  readonly rank?: (output: Output) => number
  /** Whether an operation with this answer is a mere look: it changed nothing, and could not have anywhere else. */
  readonly isLook?: (input: Input, output: Output) => boolean
  /** Independent parts of a history; the whole history where absent. */
  readonly partition?: (
    history: ReadonlyArray<Operation<Input, Output>>
  ) => ReadonlyArray<ReadonlyArray<Operation<Input, Output>>>
}

export type Verdict<Input, Output> =
  | { readonly _tag: "Linearizable" }
  /** `longest` is the most that could be placed, in order, and `stuck` what then fits nowhere. */
  | {
    readonly _tag: "Illegal"
    readonly longest: ReadonlyArray<Operation<Input, Output>>
    readonly stuck: ReadonlyArray<Operation<Input, Output>>
  }
  /** The search was given up; never to be taken for a yes. */
  | { readonly _tag: "Unknown"; readonly steps: number }

export interface CheckOptions {
  /** Steps of the search after which it is given up, over all parts; default 20 million. */
  readonly maxSteps?: number | undefined
}

/** Checks a history against a model. */
export const checkLinearizable = <State, Input, Output>(
  model: Model<State, Input, Output>,
  history: ReadonlyArray<Operation<Input, Output>>,
  options?: CheckOptions
): Verdict<Input, Output> => {
  const budget = { left: options?.maxSteps ?? 20_000_000, spent: 0 }
  for (const part of model.partition?.(history) ?? [history]) {
    const verdict = new Search(model, part, budget).run()
    if (verdict._tag !== "Linearizable") return verdict
  }
  return { _tag: "Linearizable" }
}

/** A node of the doubly linked list of calls and returns, in order of time. */
interface Event {
  readonly operation: number
  readonly match: Event | null
  previous: Event | null
  next: Event | null
}

/** The operations placed so far, as bits. */
class PlacedSet {
  readonly words: Uint32Array
  hash = 0

  constructor(size: number) {
    this.words = new Uint32Array((size + 31) >>> 5)
  }

  toggle(bit: number): void {
    const word = bit >>> 5
    this.words[word] = this.words[word]! ^ (1 << (bit & 31))
    this.hash ^= Math.imul(bit + 1, 0x9e3779b1) ^ (Math.imul(bit + 7, 0x85ebca6b) >>> 3)
  }
}

/** Which operations may come next by their ranks: those not above the lowest that still has to be placed. */
class RankOrder {
  private readonly ranks: ReadonlyArray<number>
  /** The operations that have to be placed, by rank, and where each stands there. */
  private readonly order: ReadonlyArray<number>
  private readonly position = new Map<number, number>()
  private readonly isPlaced: Array<boolean>
  private next = 0

  constructor(operations: ReadonlyArray<{ readonly rank: number; readonly mustBePlaced: boolean }>) {
    this.ranks = operations.map((operation) => operation.rank)
    this.isPlaced = operations.map(() => false)
    this.order = operations.flatMap((operation, i) => operation.mustBePlaced ? [i] : [])
      .sort((a, b) => this.ranks[a]! - this.ranks[b]!)
    this.order.forEach((operation, at) => this.position.set(operation, at))
  }

  allows(operation: number): boolean {
    while (this.next < this.order.length && this.isPlaced[this.order[this.next]!]) this.next++
    const lowest = this.order[this.next]
    return lowest === undefined || this.ranks[operation]! <= this.ranks[lowest]!
  }

  place(operation: number): void {
    this.isPlaced[operation] = true
  }

  unplace(operation: number): void {
    this.isPlaced[operation] = false
    this.next = Math.min(this.next, this.position.get(operation) ?? this.next)
  }
}

/** One placement, and where it was made. */
interface Frame<State> {
  readonly call: Event
  readonly state: State
  readonly number: number
  /** Nothing else need be tried in its place. */
  readonly isForced: boolean
}

interface Configuration {
  readonly words: Uint32Array
  readonly state: number
}

class Search<State, Input, Output> {
  private readonly model: Model<State, Input, Output>
  private readonly operations: ReadonlyArray<Operation<Input, Output>>
  private readonly budget: { left: number; spent: number }
  private readonly visited = new Map<number, Array<Configuration>>()
  /** Each state met has a number: long ones that differ in one place are compared once, and not with every other. */
  private readonly states = new Map<string, number>()
  private readonly placed: PlacedSet
  private readonly head: Event
  private longest: ReadonlyArray<number> = []
  /** Operations that must be placed: those that were answered. */
  private unplaced: number
  private readonly ranks: RankOrder
  private readonly isLook: ReadonlyArray<boolean>

  constructor(
    model: Model<State, Input, Output>,
    operations: ReadonlyArray<Operation<Input, Output>>,
    budget: { left: number; spent: number }
  ) {
    this.model = model
    this.operations = operations
    this.budget = budget
    this.placed = new PlacedSet(operations.length)
    this.head = buildEvents(operations)
    this.unplaced = operations.filter((operation) => Number.isFinite(operation.returned)).length
    this.isLook = operations.map(({ input, output }) => output !== undefined && model.isLook?.(input, output) === true)
    this.ranks = new RankOrder(operations.map(({ output, returned }) => ({
      rank: output === undefined || model.rank === undefined ? 0 : model.rank(output),
      mustBePlaced: Number.isFinite(returned)
    })))
  }

  run(): Verdict<Input, Output> {
    let state = this.model.initial
    let number = this.numberOf(this.model.stateKey(state))
    const stack: Array<Frame<State>> = []
    let event = this.head.next
    while (this.unplaced > 0) {
      this.budget.spent++
      if (this.budget.left-- <= 0) return { _tag: "Unknown", steps: this.budget.spent }
      // At a return nothing that was called before it is left to try: it cannot be placed later, so go back.
      if (event === null || event.match === null) {
        const top = this.back(stack)
        if (top === undefined) return this.illegal()
        state = top.state
        number = top.number
        event = top.call.next
        continue
      }
      const operation = this.operations[event.operation]!
      const after = this.ranks.allows(event.operation)
        ? this.model.step(state, operation.input, operation.output)
        : undefined
      const numberAfter = after === undefined ? number : this.numberOf(this.model.stateKey(after))
      if (after === undefined || !this.visit(event.operation, numberAfter)) {
        event = event.next
        continue
      }
      const isForced = numberAfter === number && this.isLook[event.operation]!
      stack.push({ call: event, state, number, isForced })
      state = after
      number = numberAfter
      this.place(event)
      if (stack.length > this.longest.length) this.longest = stack.map((frame) => frame.call.operation)
      event = this.head.next
    }
    return { _tag: "Linearizable" }
  }

  /** Takes back the last placement that had an alternative, and all that came after it. */
  private back(stack: Array<Frame<State>>): Frame<State> | undefined {
    while (true) {
      const top = stack.pop()
      if (top === undefined) return undefined
      this.unplace(top.call)
      if (!top.isForced) return top
    }
  }

  /** Marks the operation as placed if that leads to a configuration not seen before. */
  private visit(operation: number, number: number): boolean {
    this.placed.toggle(operation)
    const hash = this.placed.hash ^ Math.imul(number + 1, 0x27d4eb2f)
    const bucket = this.visited.get(hash)
    const words = this.placed.words
    if (bucket === undefined) {
      this.visited.set(hash, [{ words: words.slice(), state: number }])
      return true
    }
    for (const seen of bucket) {
      if (seen.state === number && equalWords(seen.words, words)) {
        this.placed.toggle(operation)
        return false
      }
    }
    bucket.push({ words: words.slice(), state: number })
    return true
  }

  private numberOf(key: string): number {
    const known = this.states.get(key)
    if (known !== undefined) return known
    this.states.set(key, this.states.size)
    return this.states.size - 1
  }

  private place(call: Event): void {
    unlink(call)
    unlink(call.match!)
    this.ranks.place(call.operation)
    if (Number.isFinite(this.operations[call.operation]!.returned)) this.unplaced--
  }

  private unplace(call: Event): void {
    this.placed.toggle(call.operation)
    relink(call.match!)
    relink(call)
    this.ranks.unplace(call.operation)
    if (Number.isFinite(this.operations[call.operation]!.returned)) this.unplaced++
  }

  private illegal(): Verdict<Input, Output> {
    const placed = new Set(this.longest)
    return {
      _tag: "Illegal",
      longest: this.longest.map((index) => this.operations[index]!),
      stuck: this.operations.filter((operation, index) => !placed.has(index) && Number.isFinite(operation.returned))
    }
  }
}

const equalWords = (a: Uint32Array, b: Uint32Array): boolean => {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const unlink = (event: Event): void => {
  if (event.previous !== null) event.previous.next = event.next
  if (event.next !== null) event.next.previous = event.previous
}

const relink = (event: Event): void => {
  if (event.previous !== null) event.previous.next = event
  if (event.next !== null) event.next.previous = event
}

/** All calls and returns in order of time; at one instant calls come first, so that touching operations overlap. */
const buildEvents = <Input, Output>(operations: ReadonlyArray<Operation<Input, Output>>): Event => {
  const head: Event = { operation: -1, match: null, previous: null, next: null }
  const events: Array<{ readonly at: number; readonly isReturn: boolean; readonly event: Event }> = []
  operations.forEach((operation, index) => {
    const end: Event = { operation: index, match: null, previous: null, next: null }
    events.push({
      at: operation.called,
      isReturn: false,
      event: { operation: index, match: end, previous: null, next: null }
    })
    events.push({ at: operation.returned, isReturn: true, event: end })
  })
  events.sort((a, b) => a.at === b.at ? Number(a.isReturn) - Number(b.isReturn) : a.at < b.at ? -1 : 1)
  let last = head
  for (const { event } of events) {
    last.next = event
    event.previous = last
    last = event
  }
  return head
}
