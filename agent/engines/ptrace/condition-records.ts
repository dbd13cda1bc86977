/** The steps of a condition as records of a batch of calls: the thread stands still, and nothing is allocated. */
import { type CallBatch, Label } from '../../linux/call-batch.js';
import { addCallOf, readCall } from '../../linux/stop-calls.js';
import type { ConditionStep, ConditionSteps } from './condition-steps.js';

const wordBytes = 8n;
const allBits = -1n;
/** The most that a step takes. */
export const recordsOfStep = 10;
export const wordsOfStep = 6;

export interface ConditionPlace {
  /** A word with the id of the thread. */
  readonly tid: bigint;
  /** Its `user_regs_struct`. */
  readonly registers: bigint;
  /** Of runtime addresses over link addresses. */
  readonly bias: bigint;
  /** So many words as the steps have slots. */
  readonly slots: bigint;
  /** Where it goes on when the condition holds, and when memory cannot be read; it goes on with the next record when it does not hold. */
  readonly holds: Label;
  readonly unknown: Label;
}

export function addCondition(
  batch: CallBatch,
  { steps, result }: ConditionSteps,
  place: ConditionPlace,
): void {
  new Records(batch, place).add(steps, result);
}

/** All signs lead there. */
const always = (label: Label): { negative: Label; zero: Label; positive: Label } => ({
  negative: label,
  zero: label,
  positive: label,
});

class Records {
  readonly #batch: CallBatch;
  readonly #place: ConditionPlace;
  readonly #labels = new Map<number, Label>();

  constructor(batch: CallBatch, place: ConditionPlace) {
    this.#batch = batch;
    this.#place = place;
  }

  add(steps: readonly ConditionStep[], result: number): void {
    const batch = this.#batch;
    for (const step of steps) {
      // A label stands where the first step at or behind its operation is: what is left out does nothing.
      for (const [target, label] of this.#labels) {
        if (target <= step.index) this.#reach(target, label);
      }
      this.#add(step);
    }
    for (const [target, label] of this.#labels) this.#reach(target, label);
    const { holds } = this.#place;
    batch.compare({ at: this.#slot(result), value: 0n }, { negative: holds, positive: holds });
  }

  #reach(target: number, label: Label): void {
    this.#batch.place(label);
    this.#labels.delete(target);
  }

  #slot(slot: number): bigint {
    return this.#place.slots + BigInt(slot) * wordBytes;
  }

  #label(target: number): Label {
    const label = this.#labels.get(target) ?? new Label();
    this.#labels.set(target, label);
    return label;
  }

  #add(step: ConditionStep): void {
    const batch = this.#batch;
    switch (step.kind) {
      case 'constant': {
        const value = BigInt.asIntN(64, step.value + (step.isLinked ? this.#place.bias : 0n));
        batch.copy({ to: this.#slot(step.to), from: batch.reserve(1, value) });
        return;
      }
      case 'register': {
        const from = this.#place.registers + BigInt(step.offset);
        batch.copy({ to: this.#slot(step.to), from, add: BigInt.asIntN(64, step.add) });
        return;
      }
      case 'copy':
        batch.copy({ to: this.#slot(step.to), from: this.#slot(step.from) });
        return;
      case 'swap':
        this.#swap(this.#slot(step.one), this.#slot(step.other));
        return;
      case 'add':
        this.#change(step.at, step.value, allBits);
        return;
      case 'mask':
        this.#change(step.at, 0n, step.value);
        return;
      case 'extend': {
        const half = 1n << BigInt(step.bits - 1);
        this.#change(step.at, half, 2n * half - 1n);
        this.#change(step.at, -half, allBits);
        return;
      }
      case 'plus':
      case 'minus':
        this.#sum(this.#slot(step.at), this.#slot(step.by), step.kind);
        return;
      case 'read':
        this.#read(this.#slot(step.at), step.width);
        return;
      case 'compare':
        this.#compare(step);
        return;
      case 'branch': {
        const label = this.#label(step.target);
        batch.compare({ at: this.#slot(step.on), value: 0n }, { negative: label, positive: label });
        return;
      }
      case 'jump':
        batch.compare({ at: this.#slot(0), value: 0n }, always(this.#label(step.target)));
        return;
      default:
        step satisfies never;
    }
  }

  #change(slot: number, add: bigint, mask: bigint): void {
    const at = this.#slot(slot);
    this.#batch.copy({ to: at, from: at, add: BigInt.asIntN(64, add), mask: BigInt.asIntN(64, mask) });
  }

  #swap(one: bigint, other: bigint): void {
    const batch = this.#batch;
    const kept = batch.reserve(1);
    batch.copy({ to: kept, from: one });
    batch.copy({ to: one, from: other });
    batch.copy({ to: other, from: kept });
  }

  /** A sum is a difference with what is below 0 by as much. */
  #sum(at: bigint, by: bigint, kind: 'plus' | 'minus'): void {
    const batch = this.#batch;
    let less = by;
    if (kind === 'plus') {
      const negated = batch.compare({ at: batch.reserve(1), with: by });
      less = batch.resultAddress(negated);
    }
    const sum = batch.compare({ at, with: less });
    batch.copy({ to: at, from: batch.resultAddress(sum) });
  }

  #read(at: bigint, width: number): void {
    const batch = this.#batch;
    const { tid, unknown } = this.#place;
    const local = batch.reserve(2, at, BigInt(width));
    const remote = batch.reserve(2, 0n, BigInt(width));
    batch.copy({ to: remote, from: at });
    // What is read is shorter than the word, perhaps.
    batch.copy({ to: at, from: at, mask: 0n });
    const read = addCallOf(batch, tid, readCall(0n, local, remote), { argument: 0 });
    batch.compare(
      { at: batch.resultAddress(read), value: BigInt(width) },
      { negative: unknown, positive: unknown },
    );
  }

  /** Where signs differ, the difference may not fit: they decide. */
  #compare(step: Extract<ConditionStep, { kind: 'compare' }>): void {
    const batch = this.#batch;
    const [at, by] = [this.#slot(step.at), this.#slot(step.with)];
    const [yes, no, negative, same, done] = [0, 1, 2, 3, 4].map(() => new Label()) as [
      Label,
      Label,
      Label,
      Label,
      Label,
    ];
    const { less, equal, greater } = step.holds;
    const to = (holds: boolean): Label => (holds ? yes : no);
    batch.compare({ at, value: 0n }, { negative });
    batch.compare({ at: by, value: 0n }, { negative: to(greater), zero: same, positive: same });
    batch.place(negative);
    batch.compare({ at: by, value: 0n }, { zero: to(less), positive: to(less) });
    batch.place(same);
    batch.compare({ at, with: by }, { negative: to(less), zero: to(equal), positive: to(greater) });
    batch.place(no);
    batch.copy({ to: at, from: at, mask: 0n }, always(done));
    batch.place(yes);
    batch.copy({ to: at, from: batch.reserve(1, 1n) });
    batch.place(done);
  }
}
