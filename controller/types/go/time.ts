/** time.Time (time/time.go): an instant as people write it, in UTC; its location is among the fields and is not asked. */
import { isAbsent } from '../../../format/absent.js';
import { asComposite } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { computeRecipe, pointerAt } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { RecordView, ViewContext } from '../view.js';
import { wordsOf } from './record.js';

export function timeView(type: Type): RecordView | undefined {
  const composite = asComposite(type);
  const words = wordsOf(type, 'wall', 'ext', 'loc');
  if (composite?.name !== 'time.Time' || words?.wall.size !== 8 || words.ext.size !== 8) return undefined;
  const fields = composite
    .members()
    .flatMap(({ name, type: of, byteOffset }) =>
      name === undefined ? [] : [{ name, type: of, offset: byteOffset }],
    );
  return {
    kind: 'record',
    fields,
    text: (object, { memory }) => textOf(object, memory, words.wall.offset, words.ext.offset),
  };
}

const hasMonotonic = 1n << 63n;
const nanosecondsMask = (1n << 30n) - 1n;
/** From the years 1 and 1885, which the two ways of writing it count from, to 1970. */
const secondsFromYear1 = 62_135_596_800n;
const secondsFrom1885 = 2_682_288_000n;
/** What JavaScript's Date can say. */
const maxSeconds = 8_640_000_000_000n;

function textOf(
  object: ObjectView,
  memory: ViewContext['memory'],
  wallAt: number,
  extAt: number,
): string | undefined {
  const wall = computeRecipe(pointerAt(wallAt), object, memory);
  const ext = computeRecipe(pointerAt(extAt), object, memory);
  if (isAbsent(wall) || isAbsent(ext)) return undefined;
  const nanoseconds = wall & nanosecondsMask;
  const isMonotonic = (wall & hasMonotonic) !== 0n;
  // The seconds of the short form are 33 bits; in the long form those bits are zero.
  const short = (wall & ~hasMonotonic) >> 30n;
  if (nanoseconds > 999_999_999n || (!isMonotonic && short !== 0n)) return undefined;
  const seconds = isMonotonic ? short - secondsFrom1885 : BigInt.asIntN(64, ext) - secondsFromYear1;
  if (seconds > maxSeconds || seconds < -maxSeconds) return undefined;
  const date = new Date(Number(seconds) * 1000).toISOString().replace(/\.000Z$/, '');
  const fraction = nanoseconds.toString().padStart(9, '0').replace(/0+$/, '');
  return `${date}${fraction === '' ? '' : `.${fraction}`}Z`;
}
