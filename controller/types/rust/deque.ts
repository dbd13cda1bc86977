/** `VecDeque`: a ring in a buffer of `capacity` elements, `len` of them from `head` on. */
import { sizeOf } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType, Type } from '../type.js';
import type { Block, WalkedView } from '../view.js';
import { partAt, wordOf } from './layout.js';
import { bufferParts } from './vec.js';

export function dequeView(type: CompositeType): WalkedView | undefined {
  const buffer = bufferParts(type);
  const head = wordOf(partAt(type, 'head'));
  const length = wordOf(partAt(type, 'len'));
  if (buffer === undefined || head === undefined || length === undefined) return undefined;
  const ring = { ...buffer, head, length };
  const { data, capacity, element } = buffer;
  return {
    kind: 'walked',
    length,
    element: () => element,
    blocks: () => blocksOf(ring),
    walk: {
      kind: 'ring-buffer',
      data,
      head,
      length,
      stride: sizeOf(element) ?? 0,
      ...(capacity === undefined ? {} : { capacity }),
    },
  };
}

interface Ring {
  readonly data: Recipe;
  readonly head: Recipe;
  readonly length: Recipe;
  readonly capacity?: Recipe;
  readonly element: Type;
}

/** Elements that are followed themselves, and bytes of each of the two pieces. */
const maxFollowed = 16;
const maxPieceBytes = 16 * 1024;

/** From the first element to the end of the buffer, and what goes on at its beginning. */
function blocksOf({ data, head, length, capacity, element }: Ring): readonly Block[] {
  const stride = sizeOf(element) ?? 0;
  if (stride === 0 || capacity === undefined) return [];
  const end = binary(head, '+', length);
  const isWrapped = binary(capacity, '<', end);
  const sized = (count: Recipe): Recipe => binary(count, '*', constant(stride));
  const placeOf = (index: Recipe): Recipe => binary(data, '+', sized(index));
  const objects = Array.from({ length: maxFollowed }, (_, i) => {
    const at = binary(head, '+', constant(i));
    const index = choose(binary(at, '<', capacity), at, binary(at, '-', capacity));
    return { type: () => element, address: placeOf(index), exists: binary(constant(i), '<', length) };
  });
  return [
    {
      address: placeOf(head),
      bytes: sized(choose(isWrapped, binary(capacity, '-', head), length)),
      maxBytes: maxPieceBytes,
      objects,
    },
    {
      address: data,
      bytes: sized(choose(isWrapped, binary(end, '-', capacity), constant(0))),
      maxBytes: maxPieceBytes,
    },
  ];
}
