/** What a stack of seccomp filters answers to system calls: seccomp(2), "RETURN VALUE" of filters, kernel/seccomp.c seccomp_run_filters(). Pure. */
import { errnoName } from '../../linux/errno.js';
import { evaluateFilter } from './filter-program.js';

export interface FilteredCall {
  readonly name: string;
  readonly number: number;
  /** Behind the `syscall` instruction. */
  readonly programCounter: bigint;
  /** Those that are not named are 0; `undefined`: a process id that is not known before. */
  readonly args: readonly (bigint | undefined)[];
}

const AUDIT_ARCH_X86_64 = 0xc000_003e;
const SECCOMP_RET_ACTION_FULL = 0xffff_0000;
const SECCOMP_RET_DATA = 0xffff;
const SECCOMP_RET_ERRNO = 0x0005_0000;
const SECCOMP_RET_LOG = 0x7ffc_0000;
const SECCOMP_RET_ALLOW = 0x7fff_0000;

const actionNames: ReadonlyMap<number, string> = new Map([
  [0x8000_0000, 'SECCOMP_RET_KILL_PROCESS'],
  [0x0000_0000, 'SECCOMP_RET_KILL_THREAD'],
  [0x0003_0000, 'SECCOMP_RET_TRAP'],
  [SECCOMP_RET_ERRNO, 'SECCOMP_RET_ERRNO'],
  [0x7fc0_0000, 'SECCOMP_RET_USER_NOTIF'],
  [0x7ff0_0000, 'SECCOMP_RET_TRACE'],
  [SECCOMP_RET_LOG, 'SECCOMP_RET_LOG'],
  [SECCOMP_RET_ALLOW, 'SECCOMP_RET_ALLOW'],
]);

/** Why the filters do not let the call pass; undefined when all do. A call that is only logged passes. */
export function whyRefused(filters: readonly Uint8Array[], call: FilteredCall): string | undefined {
  const words = wordsOf(call);
  let answer = SECCOMP_RET_ALLOW;
  for (const filter of filters) {
    const result = evaluateFilter(filter, words);
    if (result === undefined)
      return `what seccomp answers to ${call.name} depends on what is not known before`;
    // The least action wins, as a signed number: that is why KILL_PROCESS is negative.
    if ((result & SECCOMP_RET_ACTION_FULL) < (answer & SECCOMP_RET_ACTION_FULL)) answer = result;
  }
  const action = (answer & SECCOMP_RET_ACTION_FULL) >>> 0;
  if (action === SECCOMP_RET_ALLOW || action === SECCOMP_RET_LOG) return undefined;
  const name = actionNames.get(action) ?? `0x${action.toString(16)}`;
  const data = action === SECCOMP_RET_ERRNO ? ` (${errnoName(answer & SECCOMP_RET_DATA)})` : '';
  return `seccomp answers ${call.name} with ${name}${data}`;
}

function wordsOf(call: FilteredCall): (number | undefined)[] {
  const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
  const high = (value: bigint): number => low(value >> 32n);
  const args = Array.from({ length: 6 }, (_, i) => (i < call.args.length ? call.args[i] : 0n));
  return [
    call.number,
    AUDIT_ARCH_X86_64,
    low(call.programCounter),
    high(call.programCounter),
    ...args.flatMap((value) => (value === undefined ? [undefined, 0] : [low(value), high(value)])),
  ];
}
