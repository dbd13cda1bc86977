/** Channels (runtime/chan.go `hchan`): a ring of elements, of which `qcount` are queued from `recvx` on. */
import { sizeOf, stripType } from '../layout.js';
import {
  type BinaryOperator,
  binary,
  choose,
  constant,
  pointerAt,
  type Recipe,
} from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Block, WalkedView } from '../view.js';
import { wordsOf } from './record.js';

const pointer = pointerAt(0);

export function channelView(type: Type, element: () => Type): WalkedView | undefined {
  const plain = stripType(type);
  const words =
    plain.kind === 'pointer'
      ? wordsOf(plain.target(), 'qcount', 'dataqsiz', 'buf', 'elemsize', 'closed', 'recvx')
      : undefined;
  if (words === undefined) return undefined;
  const word = (name: keyof typeof words): Recipe => {
    const { offset, size } = words[name];
    return orZero({ op: 'load', address: combine(pointer, '+', offset), size });
  };
  const { qcount, dataqsiz, buf, elemsize, recvx } = words;
  const stride = sizeOf(element());
  return {
    kind: 'walked',
    noun: 'channel',
    length: word('qcount'),
    element,
    blocks: () => ringBlocks(word, element(), sizeOf(plain.kind === 'pointer' ? plain.target() : plain) ?? 0),
    walk: {
      kind: 'channel',
      channel: pointer,
      words: { qcount, dataqsiz, buf, elemsize, recvx },
      ...(stride === undefined ? {} : { stride }),
    },
    facts: [
      { name: 'cap', value: word('dataqsiz') },
      { name: 'closed', value: word('closed') },
    ],
    isNil: combine(pointer, '==', 0),
  };
}

const maxRingBytes = 4096;
/** Elements that a plan follows. */
const maxFollowed = 16;

/** For a plan: the channel's head, and its ring. */
function ringBlocks(
  word: (name: 'qcount' | 'dataqsiz' | 'buf' | 'elemsize' | 'closed' | 'recvx') => Recipe,
  element: Type,
  headBytes: number,
): Block[] {
  const stride = sizeOf(element) ?? 0;
  const head: Block = { address: pointer, bytes: constant(headBytes), maxBytes: headBytes };
  if (stride === 0) return [head];
  const objects = Array.from({ length: maxFollowed }, (_, i) => {
    const at = combine(word('recvx'), '+', i);
    const index = choose(binary(at, '<', word('dataqsiz')), at, binary(at, '-', word('dataqsiz')));
    const address = binary(word('buf'), '+', combine(index, '*', stride));
    return { type: () => element, address, exists: binary(constant(i), '<', word('qcount')) };
  });
  const bytes = choose(word('qcount'), combine(word('dataqsiz'), '*', stride), constant(0));
  return [head, { address: word('buf'), bytes, maxBytes: maxRingBytes, objects }];
}

function combine(left: Recipe, operator: BinaryOperator, right: number): Recipe {
  return binary(left, operator, constant(right));
}

/** Of a nil pointer everything is zero. */
export function orZero(recipe: Recipe): Recipe {
  return choose(pointer, recipe, constant(0));
}
