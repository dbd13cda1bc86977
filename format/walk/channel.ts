/** Go's channels (runtime/chan.go `hchan`): a ring of elements, of which `qcount` are queued from `recvx` on. */
import { type Absent, isAbsent } from '../absent.js';
import type { RecipeObject } from '../recipe/object.js';
import { computeRecipe, type Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type WalkContext } from './found.js';
import { readWords, type WordPlace } from './read.js';

export interface ChannelWalk {
  readonly kind: 'channel';
  readonly channel: Recipe;
  readonly words: Readonly<Record<'qcount' | 'dataqsiz' | 'buf' | 'elemsize' | 'recvx', WordPlace>>;
  /** Bytes of an element, which the channel must say too; undefined where they are not known. */
  readonly stride?: number;
}

/** Beyond all memory that a process has. */
const maxBytes = 1n << 47n;

export function* walkChannel(
  walk: ChannelWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const address = computeRecipe(walk.channel, object, memory);
  if (isAbsent(address)) return yield address;
  if (address === 0n) return;
  const channel = readWords(walk.words, address, memory);
  if (isAbsent(channel)) return yield channel;
  const { qcount, dataqsiz, buf, elemsize, recvx } = channel;
  if (qcount > dataqsiz || dataqsiz * elemsize > maxBytes || (dataqsiz > 0n && recvx >= dataqsiz))
    return yield corrupt(`${qcount} of ${dataqsiz} elements from ${recvx} on`, address);
  if (elemsize !== BigInt(walk.stride ?? -1)) return yield corrupt(`elements of ${elemsize} bytes`, address);
  for (let i = 0n; i < qcount && i < maxElements; i++) {
    yield { element: BigInt.asUintN(64, buf + ((recvx + i) % dataqsiz) * elemsize) };
  }
}
