/** A condition on a line that is passed all the time costs the process more than its host allows: the point is suspended, says so, and can be resumed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { compileC } from '../support/compile-c.js';

const source = `
#include <stdio.h>
long passed;
__attribute__((noinline)) void pass(long round) {
  passed = round;
}
int main(void) {
  puts("ready");
  fflush(stdout);
  for (long i = 1;; i++) pass(i);
}
`;

interface Point {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly hits: number;
}

let workplace: Workplace;
let pid: number;
beforeEach(async () => {
  workplace = openWorkplace();
  ({ pid } = await workplace.startProgram(compileC(source, { name: 'budget', flags: ['-g', '-O1'] }), [], {
    ready: /ready/,
  }));
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

async function arm(): Promise<string> {
  const options = ['--if', 'round < 0', '--detach'];
  const [point] = (await workplace.json('snap', String(pid), 'pass', ...options)) as Point[];
  return point?.id ?? '';
}

async function stateOf(id: string): Promise<Point> {
  const [point] = (await workplace.json('points', id)) as Point[];
  if (point === undefined) throw new Error(`no point ${id}`);
  return point;
}

async function until(id: string, state: string): Promise<Point> {
  for (;;) {
    const point = await stateOf(id);
    if (point.state === state) return point;
    if (point.state !== 'armed' && point.state !== 'suspended') throw new Error(point.why);
    await sleep(200);
  }
}

test('a condition that costs more than 1% of a CPU', async () => {
  await workplace.startAgent();
  const id = await arm();
  const suspended = await until(id, 'suspended');
  expect(suspended.why).toMatch(
    /^suspended, for its hits took \d+(\.\d)?% of a CPU from the threads that pass, and the default limits allows a point 1% over 10 s/,
  );
  const { hits } = await stateOf(id);
  expect(hits).toBeGreaterThanOrEqual(1000);
  await sleep(300);
  // Nothing is armed: nothing is counted.
  expect((await stateOf(id)).hits).toBe(hits);
  const [resumed] = (await workplace.json('resume', id)) as Point[];
  expect(resumed?.state).toBe('armed');
  expect((await until(id, 'suspended')).hits).toBeGreaterThan(hits);
  expect((await workplace.run('rm', id)).stdout).toContain(`removed ${id}`);
});

test('where the host allows it', async () => {
  const policy = join(workplace.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ cpuPercent: { point: 0, host: 0 } }));
  await workplace.startAgent({ args: ['--policy', policy] });
  const id = await arm();
  await sleep(4000);
  expect((await stateOf(id)).state).toBe('armed');
});
