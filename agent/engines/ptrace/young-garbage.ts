/**
 * What hits leave in the heap of the thread that traces is collected when nobody stands still. V8 would collect it when there is no more room, which is while a thread stands: that is when most is
 * allocated. Each thread has a heap of its own.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What may have been allocated since: less than V8 gives to young objects, and more than a hit takes. */
const dueBytes = 512 * 1024;

type Collect = (options: { readonly type: 'minor' }) => void;

export class YoungGarbage {
  readonly #collect = collector();
  /** What outlived the last collection. */
  #keptBytes = 0;

  /** Collects where it is due: some hundred microseconds. Gives whether it did. */
  collect(): boolean {
    if (youngBytes() - this.#keptBytes < dueBytes) return false;
    this.#collect({ type: 'minor' });
    this.#keptBytes = youngBytes();
    return true;
  }
}

/** V8 gives it to contexts that are made after the flag was set, and to no others. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}

function youngBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return space?.space_used_size ?? 0;
}
