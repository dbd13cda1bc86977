/** A process by descriptor: it becomes readable when the process ends (pidfd_open(2)), and never means another process. */
import { closeSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { errnoName } from './errno.js';
import { syscall, systemError } from './ffi.js';

const SYS_pidfd_open = 434;

export class PidFd implements Disposable {
  readonly fd: number;
  #open = true;

  /** Throws `target-gone` when there is no such process. */
  constructor(pid: number) {
    const { value, errno } = syscall(SYS_pidfd_open, { i64: BigInt(pid) }, { i64: 0n });
    if (value < 0n) {
      if (errnoName(errno) === 'ESRCH')
        throw new StillframeError('target-gone', `there is no process ${pid}`, { detail: { pid } });
      throw systemError(`cannot open process ${pid}`, 'pidfd_open', errno, { pid });
    }
    this.fd = Number(value);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }
}
