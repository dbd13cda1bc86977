/** What a tracer does for somebody who goes before it is done: it ends, and leaves nothing. */
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TracerSupervisor } from '../../../agent/tracer/supervisor.js';
import { planPoint } from '../../../controller/planner/plan.js';
import { compileC } from '../../support/compile-c.js';
import { probeLinksOf } from '../../support/kernel-links.js';
import { openSymbols } from '../../support/open-symbols.js';
import { startProgram } from '../../support/running-program.js';
import { rejected } from '../../support/thrown.js';

const program = compileC(
  `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) void pass(void) { __asm__ volatile("" ::: "memory"); }
int main(void) {
  memset(malloc(200 << 20), 1, 200 << 20);
  puts("ready"); fflush(stdout);
  for (;;) { pass(); usleep(10000); }
}`,
  { name: 'abandoned' },
);

const gone = 'unreachable: nobody waits for it any more';

/** Of this program: the process, and copies of it. */
function processesOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/exe`) === path;
      } catch {
        return false;
      }
    });
}

test('a core that nobody waits for any more is not written to its end, nor a measurement taken to its', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-abandoned-'));
  try {
    await using target = startProgram(program);
    await target.nextLine();
    await using tracer = new TracerSupervisor();
    const { pid } = target;
    const file = join(folder, 'core');
    const asker = new AbortController();
    const order = { pid, maxBytes: 1 << 30, file, snapshot: '0123456789ab', host: 'here' };
    let most = 0;
    const core = rejected(
      tracer.core(
        order,
        (done, total) => {
          most = Math.max(most, done / total);
          asker.abort();
        },
        asker.signal,
      ),
    );
    // Where the disk is so fast that nothing is told on the way, it is gone before.
    const begun = setInterval(() => {
      if (existsSync(file)) asker.abort();
    }, 1);
    expect(await core).toBe(gone);
    clearInterval(begun);
    expect(most).toBeLessThan(1);
    expect(readdirSync(folder)).toEqual([]);
    expect(processesOf(program)).toEqual([pid]);

    const { plan } = planPoint({ symbols: openSymbols(program), modulePath: program, location: 'pass' });
    const measuring = new AbortController();
    const measured = rejected(tracer.measure({ pid, plan, durationMs: 3600_000 }, measuring.signal));
    await expect.poll(() => probeLinksOf(pid)).not.toEqual([]);
    measuring.abort();
    expect(await measured).toBe(gone);
    expect(probeLinksOf(pid)).toEqual([]);
    // What nobody waits for from the beginning is not begun.
    expect(await rejected(tracer.core(order, () => undefined, asker.signal))).toBe(gone);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('what a tracer armed when its answer was not waited for any longer is disarmed', async () => {
  await using target = startProgram(program);
  await target.nextLine();
  const { pid } = target;
  const timeoutMs = 1500;
  await using tracer = new TracerSupervisor({ callTimeoutMs: timeoutMs });
  const tracerPid = await tracer.start();
  const patiently = (ask: () => Promise<unknown>): Promise<boolean> =>
    ask().then(
      () => true,
      () => false,
    );
  // It is known then what the engines can, and arming is quick.
  await expect.poll(() => patiently(() => tracer.probeEngines())).toBe(true);
  const { plan } = planPoint({ symbols: openSymbols(program), modulePath: program, location: 'pass' });
  const order = { pointId: 'late', pid, plan, countOnly: true, maxHits: 1, minIntervalNs: 0n };
  process.kill(tracerPid, 'SIGSTOP');
  try {
    expect(await rejected(tracer.arm(order))).toBe(
      `system: the tracer did not answer arm within ${timeoutMs} ms`,
    );
    expect(probeLinksOf(pid)).toEqual([]);
  } finally {
    process.kill(tracerPid, 'SIGCONT');
  }
  // It arms before it answers any of these.
  let isQuiet = 0;
  const look = async (): Promise<number> => {
    const isAnswered = await patiently(() => tracer.listTargets(String(pid)));
    if (probeLinksOf(pid).length > 0) isQuiet = 0;
    else if (isAnswered) isQuiet += 1;
    return isQuiet;
  };
  await expect.poll(look).toBeGreaterThan(10);
});
