/** Signals wait while the calling thread does something that the kernel would give up for one (rt_sigprocmask(2)). Another thread may take those of the process. */
import { syscall, systemError } from './ffi.js';

const SYS_rt_sigprocmask = 14;
const SIG_SETMASK = 2n;
const sigsetBytes = 8n;

export class HeldSignals implements Disposable {
  readonly #before = Buffer.alloc(Number(sigsetBytes));

  constructor() {
    setMask(Buffer.alloc(Number(sigsetBytes), 0xff), this.#before);
  }

  /** What came meanwhile comes now. */
  [Symbol.dispose](): void {
    setMask(this.#before);
  }
}

function setMask(mask: Buffer, before?: Buffer): void {
  const { value, errno } = syscall(
    SYS_rt_sigprocmask,
    { i64: SIG_SETMASK },
    { buffer: mask },
    before === undefined ? { i64: 0n } : { buffer: before },
    { i64: sigsetBytes },
  );
  if (value < 0n) throw systemError('cannot hold signals', 'rt_sigprocmask', errno);
}
