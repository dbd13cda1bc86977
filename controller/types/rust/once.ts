/** `OnceLock` and `LazyLock`: an object that is there once a `Once` says so. */
import { binary, constant } from '../../../format/recipe/recipe.js';
import type { CompositeType } from '../type.js';
import type { VariantView } from '../view.js';
import { manuallyDropContent } from './cells.js';
import { partAt, type Part, wordOf } from './layout.js';
import { releaseOf } from './release.js';

/** NB: until rustc 1.83 the number of a finished `Once` was 3, which has since been that of one not begun; only the unit's producer tells. */
const firstWithZero = 84;

export function onceLockView(type: CompositeType): VariantView | undefined {
  return onceView(type, partAt(type, 'value', 'value', 'value'), ['Some', 'None']);
}

export function lazyLockView(type: CompositeType): VariantView | undefined {
  return onceView(type, partAt(type, 'data', 'value', 'value'), ['Init', 'Uninit']);
}

function onceView(
  type: CompositeType,
  manuallyDrop: Part | undefined,
  [full, empty]: readonly [string, string],
): VariantView | undefined {
  const state = wordOf(partAt(type, 'once', 'inner', 'state_and_queued'));
  const release = releaseOf(type);
  const content = manuallyDrop === undefined ? undefined : manuallyDropContent(manuallyDrop);
  if (content === undefined || state?.op !== 'field' || state.size !== 4 || release === undefined)
    return undefined;
  const finished = release >= firstWithZero ? 0n : 3n;
  return {
    kind: 'variant',
    discriminant: binary(state, '&', constant(3)),
    alternatives: [
      {
        name: full,
        role: 'value',
        discriminants: [{ from: finished, to: finished }],
        content: { type: () => content.type, offset: content.offset },
      },
      { name: empty, role: 'empty' },
    ],
  };
}
