/** What of a process is known to make a copy of it impossible, or harmful, before anything of it is touched. */
import { StillframeError } from '../../../format/error.js';
import { readStatus, readThreadStatus, readTids } from '../../linux/proc.js';
import { ELFCLASS64, readElfClass } from '../../targets/program-class.js';
import { SECCOMP_MODE_STRICT, whyUnreadable } from '../seccomp/thread-filters.js';

/** What to do about a process that cannot be led through system calls. */
export const noCalls = 'an engine that makes no call in the process: --stacks with observe or ptrace';

/** Throws `unsupported` or `denied`, with the reason. */
export function checkCopyable(pid: number): void {
  const status = readStatus(pid);
  const refuse = (reason: string, hint?: string): never => {
    throw new StillframeError('unsupported', `cannot copy process ${pid}: ${reason}`, {
      detail: { pid },
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (status.tracerPid !== 0) {
    throw new StillframeError(
      'denied',
      `cannot copy process ${pid}: process ${status.tracerPid} traces it already`,
      { detail: { pid }, hint: 'end the other debugger, or use an engine that needs no ptrace' },
    );
  }
  if (elfClass(pid) !== ELFCLASS64) refuse('it is no 64-bit program');
  const modes = readTids(pid).map((tid) => seccompOf(pid, tid));
  if (modes.every((mode) => mode === SECCOMP_MODE_STRICT)) {
    refuse('seccomp in strict mode kills it for clone', noCalls);
  }
  // What a thread's filters say of the calls is found out when it stands still: see copy.ts.
  const unreadable = modes.every((mode) => mode !== 0) ? whyUnreadable() : undefined;
  if (unreadable !== undefined) {
    refuse(`seccomp filters its system calls, and might kill it for one of clone: ${unreadable}`, noCalls);
  }
  if (status.hasShadowStack) refuse('its returns are checked against a shadow stack');
  if (status.namespacePids.length > 1 && status.namespacePids.at(-1) === 1) {
    refuse('it is the first process of its pid namespace: the copy would become a child of it, and a zombie');
  }
  if (pid === 1) refuse('it is the first process of the host');
}

function seccompOf(pid: number, tid: number): number {
  try {
    return readThreadStatus(pid, tid).seccompMode;
  } catch {
    // It ended.
    return 0;
  }
}

function elfClass(pid: number): number | undefined {
  try {
    return readElfClass(pid);
  } catch (error) {
    throw new StillframeError('denied', `cannot copy process ${pid}: its program cannot be read`, {
      detail: { pid },
      cause: error,
      hint: 'run as the user of the process, or with CAP_SYS_PTRACE',
    });
  }
}
