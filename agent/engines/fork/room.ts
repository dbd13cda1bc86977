/** Where a chain can lie: stack of the main thread that is not in use, which every process has. */
import type { Mapping } from '../../../format/capture.js';
import { redZoneBytes } from '../stack-window.js';

const pageBytes = 4096n;
const alignment = 64n;
/** Of stack between a thread that uses it and the chain, where that thread is not the one that runs the chain. */
const distanceBytes = 48n * 1024n;

/**
 * Just below the stack pointer of the main thread, where that is the one that runs the chain; else at the far end of its stack. Undefined
 * when there is no room.
 */
export function findRoom(
  mappings: readonly Mapping[],
  main: { readonly sp: bigint | undefined; readonly runsChain: boolean },
  length: number,
): bigint | undefined {
  const stack = mappings.find(({ path, permissions }) => path === '[stack]' && permissions.startsWith('rw'));
  if (stack === undefined) return undefined;
  const needed = BigInt(length);
  const { sp } = main;
  const isOnStack = sp !== undefined && sp >= stack.start && sp < stack.end;
  if (isOnStack && main.runsChain) {
    const address = ((sp - redZoneBytes - needed) / alignment) * alignment;
    return address < stack.start ? undefined : address;
  }
  // A main thread elsewhere (a goroutine, a coroutine) has used this stack from its upper end, and may come back to it.
  const address = stack.start + pageBytes / 2n;
  const above = isOnStack ? sp : stack.end;
  return address + needed + distanceBytes > above ? undefined : address;
}
