import { closeSync, openSync, readSync, readdirSync, readFileSync } from 'node:fs';

const int3 = 0xcc;

/** How many of the addresses hold a breakpoint in the memory of the process: what a uprobe that was left behind looks like. */
export function breakpointsAt(pid: number, addresses: readonly bigint[]): number {
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const byte = Buffer.alloc(1);
    return addresses.filter((address) => {
      readSync(fd, byte, 0, 1, address);
      return byte[0] === int3;
    }).length;
  } finally {
    closeSync(fd);
  }
}

/** Threads that somebody traces, or that stand still. */
export function disturbedThreads(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).filter((tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    return !/^TracerPid:\t0$/m.test(status) || /^State:\t[tT]/m.test(status);
  });
}
