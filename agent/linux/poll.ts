import { callInt, systemError } from './ffi.js';
import { errnoName } from './errno.js';

export const POLLIN = 1;
export const POLLERR = 8;
export const POLLHUP = 16;

export interface PollResult {
  readonly fd: number;
  readonly events: number;
}

/** The fds that are ready, with their events; empty when the time ran out. `timeoutMs` -1 waits for ever. Blocks the thread. */
export function poll(fds: readonly number[], timeoutMs: number): PollResult[] {
  const records = Buffer.alloc(Math.max(8, fds.length * 8));
  for (const [i, fd] of fds.entries()) {
    records.writeInt32LE(fd, i * 8);
    records.writeInt16LE(POLLIN, i * 8 + 4);
  }
  const { value, errno } = callInt(
    'poll',
    { buffer: records },
    { i64: BigInt(fds.length) },
    { i32: timeoutMs },
  );
  if (value < 0) {
    if (errnoName(errno) === 'EINTR') return [];
    throw systemError(`cannot wait for ${fds.length} descriptors`, 'poll', errno);
  }
  const ready: PollResult[] = [];
  for (const [i, fd] of fds.entries()) {
    const events = records.readInt16LE(i * 8 + 6);
    if (events !== 0) ready.push({ fd, events });
  }
  return ready;
}
