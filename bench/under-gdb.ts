/** The measured loop with a conditional breakpoint of gdb that never is true. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Loop } from './loop.js';

const gdbCalls = 1000;
const attachMs = 3000;

/** Asks a peer to end, and ends it. */
export async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGINT');
  const forced = setTimeout(() => child.kill('SIGKILL'), 3000);
  await exit;
  clearTimeout(forced);
}

/** Nanoseconds that a call takes, by the clock. */
export async function underGdb(loop: Loop): Promise<number> {
  const child = spawn(
    'gdb',
    [
      '-nx',
      '-batch',
      '-p',
      String(loop.pid),
      '-ex',
      'break *handle if *(long *)($rdi + 8) > 10000',
      '-ex',
      'continue',
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  child.stdout.on('data', () => undefined);
  await sleep(attachMs);
  const { wallNs } = await loop.run(gdbCalls);
  await ended(child);
  return wallNs / gdbCalls;
}
