/** The elements of containers, by their addresses. */
import { absent, isAbsent, type Absent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Found } from '../walk/found.js';
import { maxWalkedElements, walk } from '../walk/walk.js';
import type { RunningDecision } from './decide.js';
import type { Elements, SequenceElements, WalkElements } from './decision.js';

export interface ElementAddress {
  /** Of the element itself where it has no key. */
  readonly key: bigint | Absent;
  readonly value: bigint | Absent;
}

/** Each with where it is; ends with an absent where it cannot go on. */
export function elementsOf(elements: Elements, run: RunningDecision): Iterable<ElementAddress | Absent> {
  return elements.kind === 'walk' ? walkedElements(elements, run) : sequence(elements, run);
}

function* sequence(
  { data, length, stride }: SequenceElements,
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

function* walkedElements(elements: WalkElements, run: RunningDecision): Generator<ElementAddress | Absent> {
  const object = objectOf(elements, run);
  if (isAbsent(object)) return yield object;
  const memory = countedMemory(run);
  for (const found of walk(elements.walk, object, { memory, maxElements: maxWalkedElements })) {
    const over = run.steps.take(1);
    if (over !== undefined) return yield over;
    yield isAbsent(found) ? found : addressOf(found);
  }
}

function objectOf({ object, bytes }: WalkElements, run: RunningDecision): RecipeObject | Absent {
  const value = run.integer(object);
  if (isAbsent(value)) return value;
  if (bytes === undefined) return { address: value };
  const own = new Uint8Array(8);
  new DataView(own.buffer).setBigUint64(0, value, true);
  return { bytes: own.subarray(0, bytes) };
}

function addressOf(found: Found): ElementAddress | Absent {
  if ('element' in found) return { key: found.element, value: found.element };
  return 'key' in found ? found : absent('unsupported', 'bits have no addresses of their own');
}

/** Reads of memory are steps as well: a walk goes on only by what it reads. */
function countedMemory({ memory, steps }: RunningDecision): MemoryReader {
  return {
    read: (address, length) => steps.take(1 + length / bytesOfStep) ?? memory.read(address, length),
  };
}

const bytesOfStep = 256;
