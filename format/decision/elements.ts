/** The elements of containers, by their addresses. */
import { absent, isAbsent, type Absent } from '../absent.js';
import type { RunningDecision } from './decide.js';
import type { Elements } from './decision.js';

export interface ElementAddress {
  /** Of the element itself where it has no key. */
  readonly key: bigint;
  readonly value: bigint;
}

/** Ends with an absent where it cannot go on. */
export function* elementsOf(
  { data, length, stride }: Elements,
  run: RunningDecision,
): Generator<ElementAddress | Absent> {
  const count = run.integer(length);
  if (isAbsent(count)) return yield count;
  if (count === 0n) return;
  const first = run.integer(data);
  if (isAbsent(first)) return yield first;
  for (let i = 0n; i < count; i++) {
    const over = run.steps.take(1);
    if (over !== undefined) return yield over;
    const address = BigInt.asUintN(64, first + i * BigInt(stride));
    if (address < first) return yield absent('unreadable', 'it is beyond the address space');
    yield { key: address, value: address };
  }
}
