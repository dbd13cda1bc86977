/** The steps of a condition, or of another expression of a plan, as records of a batch of calls: the thread stands still, and nothing is allocated. */
import { type CallBatch, Label } from '../../linux/call-batch.js';
import { addCallOf, readCall } from '../../linux/stop-calls.js';
import type { ConditionStep, ConditionSteps } from './condition-steps.js';

const wordBytes = 8n;
const allBits = -1n;
/** The most that a step takes. */
export const recordsOfStep = 10;
export const wordsOfStep = 6;

export interface ExpressionPlace {
  /** A word with the id of the thread. */
  readonly tid: bigint;
  /** Its `user_regs_struct`. */
  readonly registers: bigint;
  /** Of runtime addresses over link addresses. */
  readonly bias: bigint;
  /** A word with the address of the parent range, where there is one. */
  readonly object?: bigint;
  /** So many words as the steps have slots. */
  readonly slots: bigint;
  /** Where it goes on when memory cannot be read. */
  readonly unknown: Label;
  /** Where it is to be known afterwards what was read. */
  readonly reads?: KeptReads;
}

export interface ConditionPlace extends ExpressionPlace {
  /** Where it goes on when the condition holds; it goes on with the next record when it does not hold. */
  readonly holds: Label;
}

/** What was read of the thread's memory while it stood still. All are words of the batch. */
export interface KeptRead {
  /** The number of the stop that it was read in. */
  readonly made: bigint;
  /** A `struct iovec`: from where, and how much. */
  readonly remote: bigint;
  /** Where it is: in the batch, or elsewhere. */
  readonly at: { readonly word: bigint } | { readonly bytes: Uint8Array };
  /** A string, which is looked at piece by piece. */
  readonly isString: boolean;
}

export interface KeptReads {
  /** A word with the number of the stop. */
  readonly stop: bigint;
  /** In the order in which they are made. */
  readonly list: KeptRead[];
}

export function addCondition(
  batch: CallBatch,
  { steps, result }: ConditionSteps,
  place: ConditionPlace,
): void {
  const records = new Records(batch, place);
  records.add(steps);
  const { holds } = place;
  batch.compare({ at: records.slot(result), value: 0n }, { negative: holds, positive: holds });
}

/** Gives the word with the value. */
export function addExpression(
  batch: CallBatch,
  { steps, result }: ConditionSteps,
  place: ExpressionPlace,
): bigint {
  const records = new Records(batch, place);
  records.add(steps);
  return records.slot(result);
}

/** All signs lead there. */
export const always = (label: Label): { negative: Label; zero: Label; positive: Label } => ({
  negative: label,
  zero: label,
  positive: label,
});

class Records {
  readonly #batch: CallBatch;
  readonly #place: ExpressionPlace;
  readonly #labels = new Map<number, Label>();

  constructor(batch: CallBatch, place: ExpressionPlace) {
    this.#batch = batch;
    this.#place = place;
  }

  add(steps: readonly ConditionStep[]): void {
    for (const step of steps) {
      // A label stands where the first step at or behind its operation is: what is left out does nothing.
      for (const [target, label] of this.#labels) {
        if (target <= step.index) this.#reach(target, label);
      }
      this.#add(step);
    }
    for (const [target, label] of this.#labels) this.#reach(target, label);
  }

  #reach(target: number, label: Label): void {
    this.#batch.place(label);
    this.#labels.delete(target);
  }

  slot(slot: number): bigint {
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
        batch.copy({ to: this.slot(step.to), from: batch.reserve(1, value) });
        return;
      }
      case 'register': {
        const from = this.#place.registers + BigInt(step.offset);
        batch.copy({ to: this.slot(step.to), from, add: BigInt.asIntN(64, step.add) });
        return;
      }
      case 'object':
        batch.copy({ to: this.slot(step.to), from: this.#place.object ?? batch.reserve(1) });
        return;
      case 'copy':
        batch.copy({ to: this.slot(step.to), from: this.slot(step.from) });
        return;
      case 'swap':
        this.#swap(this.slot(step.one), this.slot(step.other));
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
      case 'choose': {
        const negated = batch.compare({ at: batch.reserve(1), with: this.slot(step.at) });
        const mask = BigInt.asIntN(64, step.value);
        batch.copy({ to: this.slot(step.at), from: batch.resultAddress(negated), mask });
        return;
      }
      case 'plus':
      case 'minus':
        this.#sum(this.slot(step.at), this.slot(step.by), step.kind);
        return;
      case 'read':
        this.#read(this.slot(step.at), step.width);
        return;
      case 'compare':
        this.#compare(step);
        return;
      case 'branch': {
        const label = this.#label(step.target);
        batch.compare({ at: this.slot(step.on), value: 0n }, { negative: label, positive: label });
        return;
      }
      case 'jump':
        batch.compare({ at: this.slot(0), value: 0n }, always(this.#label(step.target)));
        return;
      default:
        step satisfies never;
    }
  }

  #change(slot: number, add: bigint, mask: bigint): void {
    const at = this.slot(slot);
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
    const { tid, unknown, reads } = this.#place;
    const word = reads === undefined ? at : batch.reserve(1);
    const local = batch.reserve(2, word, BigInt(width));
    const remote = batch.reserve(2, 0n, BigInt(width));
    batch.copy({ to: remote, from: at });
    // What is read is shorter than the word, perhaps.
    batch.copy({ to: word, from: word, mask: 0n });
    const read = addCallOf(batch, tid, readCall(0n, local, remote), { argument: 0 });
    batch.compare(
      { at: batch.resultAddress(read), value: BigInt(width) },
      { negative: unknown, positive: unknown },
    );
    if (reads === undefined) return;
    const made = batch.reserve(1);
    batch.copy({ to: made, from: reads.stop });
    batch.copy({ to: at, from: word });
    reads.list.push({ made, remote, at: { word }, isString: false });
  }

  /** Where signs differ, the difference may not fit: they decide. */
  #compare(step: Extract<ConditionStep, { kind: 'compare' }>): void {
    const batch = this.#batch;
    const [at, by] = [this.slot(step.at), this.slot(step.with)];
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
