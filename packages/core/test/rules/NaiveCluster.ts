/** A cluster by the words of the contract, and the steps that it and the rules are put through. */
import { Schema } from "effect"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
/** A change of the membership; ids and keys are few, so that they meet. */
export const Step = Schema.TaggedUnion({
  Admit: { id: natural(6), incarnation: Schema.NullOr(natural(2)), key: natural(6), learner: Schema.Boolean },
  Bind: { id: natural(6), incarnation: natural(2) },
  Promote: { id: natural(6), live: natural(127), force: Schema.Boolean },
  Demote: { id: natural(6), live: natural(127), force: Schema.Boolean },
  Remove: { id: natural(6), live: natural(127), force: Schema.Boolean },
  Relocate: { id: natural(6), port: natural(3) }
})

type StepOf<Tag extends typeof Step.Type["_tag"]> = Extract<typeof Step.Type, { readonly _tag: Tag }>
type Verdict = "Change" | "Already" | "No"

/** Who votes, who listens and who is gone by the words of the contract, without any of the program. */
export class NaiveCluster {
  readonly voters = new Set<number>([0])
  readonly learners = new Set<number>()
  readonly gone = new Set<number>()
  readonly keys = new Map<number, number>([[0, 0]])
  readonly incarnations = new Map<number, number | null>([[0, 0]])

  /** Whether the step changes, or leaves alone, or is refused; and changes. */
  step(step: typeof Step.Type): Verdict {
    const isMember = this.keys.has(step.id) && !this.gone.has(step.id)
    switch (step._tag) {
      case "Admit":
        return this.admit(step, isMember)
      case "Promote":
        if (!isMember) return "No"
        return this.voters.has(step.id) ? "Already" : this.vote(step, new Set([...this.voters, step.id]))
      case "Demote":
        if (!isMember) return "No"
        return this.voters.has(step.id) ? this.vote(step, without(this.voters, step.id)) : "Already"
      case "Remove":
        return this.remove(step, isMember)
      default:
        return "Already"
    }
  }

  private admit({ id, incarnation, key }: StepOf<"Admit">, isMember: boolean): Verdict {
    if (this.gone.has(id)) return "No"
    if ([...this.keys].some(([other, theirs]) => other !== id && theirs === key)) return "No"
    if (!isMember) {
      this.keys.set(id, key)
      this.incarnations.set(id, incarnation)
      this.learners.add(id)
      return "Change"
    }
    const bound = this.incarnations.get(id) ?? null
    if (this.keys.get(id) !== key || (bound !== null && incarnation !== null && bound !== incarnation)) return "No"
    if (bound !== null || incarnation === null) return "Already"
    this.incarnations.set(id, incarnation)
    return "Change"
  }

  private remove(step: StepOf<"Remove">, isMember: boolean): Verdict {
    if (this.gone.has(step.id)) return "Already"
    if (!isMember) return "No"
    if (this.voters.has(step.id) && this.vote(step, without(this.voters, step.id)) === "No") return "No"
    this.learners.delete(step.id)
    this.gone.add(step.id)
    return "Change"
  }

  private vote(
    step: { readonly id: number; readonly live: number; readonly force: boolean },
    voters: Set<number>
  ): Verdict {
    const live = [...voters].filter((id) => (step.live >> id) % 2 === 1).length
    if (voters.size === 0 || (!step.force && 2 * live <= voters.size)) return "No"
    for (const id of this.voters) if (!voters.has(id)) this.learners.add(id)
    this.voters.clear()
    for (const id of voters) {
      this.voters.add(id)
      this.learners.delete(id)
    }
    return "Change"
  }
}

const without = (ids: ReadonlySet<number>, id: number): Set<number> => new Set([...ids].filter((one) => one !== id))
