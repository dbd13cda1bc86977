/** Points in targets that fight back, by the engines that have points: it counts who passes, or says why it cannot, and the target comes to no harm. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startProgram } from '../../../support/running-program.js';
import { threadTraces } from '../ptrace/target.js';
import { armAndCount } from './count.js';
import { expectUnharmed } from './harm.js';
import { hostileProgram } from './target.js';
import { startTracer } from './tracer.js';

const { tracer } = startTracer();

const modes = ['storm', 'threads', 'vfork', 'trap', 'undumpable', 'vfork-parent', 'traced'] as const;
const rows = modes.flatMap((mode) => (['uprobe', 'ptrace'] as const).map((engine) => ({ mode, engine })));

test.each(rows)('$engine, a target in mode $mode', async ({ mode, engine }) => {
  await using target = startProgram(hostileProgram, [mode]);
  expect(await target.nextLine()).toBe('up');
  const traced = mode === 'traced';
  if (traced) while (threadTraces(target.pid).every(({ tracer: by }) => by === 0)) await sleep(5);
  const counted = armAndCount(tracer, target.pid, engine);
  if (traced && engine === 'ptrace') {
    await expect(counted).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/: process \d+ traces it already$/) as string,
    });
  } else {
    expect((await counted).hits).toBeGreaterThan(0n);
  }
  await expectUnharmed(target, { traced });
});
