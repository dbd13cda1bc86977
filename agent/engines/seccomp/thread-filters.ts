/** The seccomp filters of a stopped thread, and whether they can be had at all. */
import { readCapabilities } from '../../linux/capabilities.js';
import { readStatus } from '../../linux/proc.js';
import { getSeccompFilter } from '../../linux/ptrace.js';
import { maxInstructions } from './filter-program.js';
import { whyRefused } from './verdict.js';

export const SECCOMP_MODE_STRICT = 1;
export const SECCOMP_MODE_FILTER = 2;

const instructionBytes = 8;
/** The kernel allows some thousands of tiny ones; real sandboxes have two or three. */
const maxFilters = 64;

export type ThreadFilters =
  /** Oldest first; none at all of a thread that has none. */
  { readonly filters: readonly Uint8Array[] } | { readonly unreadable: string };

/** Why filters of threads cannot be read by this process; undefined when they can. ptrace(2) PTRACE_SECCOMP_GET_FILTER. */
export function whyUnreadable(): string | undefined {
  if (!readCapabilities().has('CAP_SYS_ADMIN')) return 'to read its filters needs CAP_SYS_ADMIN';
  if (readStatus(process.pid).seccompMode !== 0)
    return 'a process that is under seccomp itself cannot read its filters';
  return undefined;
}

const buffer = Buffer.alloc(maxInstructions * instructionBytes);

/** Of a thread that stands in a ptrace-stop of this thread. */
export function readFilters(tid: number): ThreadFilters {
  const filters: Uint8Array[] = [];
  for (let index = 0; index < maxFilters; index++) {
    const result = getSeccompFilter(tid, index, buffer);
    if (typeof result === 'number') {
      filters.push(Uint8Array.from(buffer.subarray(0, result * instructionBytes)));
    } else if (result === 'ENOENT' || (result === 'EINVAL' && index === 0)) {
      return { filters };
    } else {
      return { unreadable: `its filters cannot be read: ptrace(PTRACE_SECCOMP_GET_FILTER): ${result}` };
    }
  }
  return { unreadable: `it has more than ${maxFilters} filters` };
}

const SYS_restart_syscall = 219;

/**
 * Whether a call that a stop ended may be taken up by `restart_syscall`, which the kernel has a thread call for waits with a timeout, and which
 * passes its filters as if it had made that call itself. False when that cannot be told. Of a thread that stands in a ptrace-stop.
 */
export function mayTakeUp(tid: number, programCounter: bigint): boolean {
  const found = readFilters(tid);
  if ('unreadable' in found) return !isFiltered(tid);
  const call = { name: 'restart_syscall', number: SYS_restart_syscall, programCounter, args: [] };
  try {
    return whyRefused(found.filters, call) === undefined;
  } catch {
    // No program that we understand: the call is made anew, which was allowed before.
    return false;
  }
}

function isFiltered(tid: number): boolean {
  try {
    return readStatus(tid).seccompMode !== 0;
  } catch {
    return true;
  }
}
