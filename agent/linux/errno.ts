import { constants } from 'node:os';

/** Of two names for one number the first: EAGAIN, not EWOULDBLOCK. */
const names: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, value]) => [value, name]),
);

/** `EPERM` for 1; `errno 524` for numbers that have no name in user space (ENOTSUPP). */
export function errnoName(errno: number): string {
  return names.get(errno) ?? (errno === 524 ? 'ENOTSUPP' : `errno ${errno}`);
}
