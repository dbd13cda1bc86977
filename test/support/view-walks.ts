/** Whether walks of views are data that can be sent: each comes through as it is, and finds the same. */
import { expect } from 'vitest';
import { decodeWalk, encodeWalk } from '../../format/walk/check.js';
import { walk, type Walk } from '../../format/walk/walk.js';
import type { MemoryReader } from '../../format/memory.js';
import { objectOf } from '../../controller/types/object-view.js';
import type { Value } from '../../controller/types/value.js';
import { viewOf } from '../../controller/types/views.js';

/** The kinds of walks that some of the values have, in order. */
export function sentWalks(values: Iterable<Value>, memory: MemoryReader): string[] {
  const kinds = new Set<Walk['kind']>();
  for (const value of values) {
    const view = viewOf(value.type);
    if (view?.kind !== 'walked' && view?.kind !== 'map') continue;
    const sent = decodeWalk(encodeWalk(view.walk));
    expect(sent).toEqual(view.walk);
    const [object, context] = [objectOf(value), { memory, maxElements: 1000 }];
    expect([...walk(sent, object, context)]).toEqual([...walk(view.walk, object, context)]);
    kinds.add(sent.kind);
  }
  return [...kinds].toSorted();
}
