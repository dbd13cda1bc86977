import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../../support/paths.js';
import { startProgram } from '../../../support/running-program.js';
import { threadTraces } from '../ptrace/target.js';
import { askHealth, copiedProgram, relativesOf } from './target.js';

const kills = Number(process.env['STILLFRAME_FORK_KILLS'] ?? '100');
const copier = join(repositoryRoot, 'dist/test/agent/engines/fork/copier.js');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is left of a copy or a tracer, when the kernel has had time to take it away. */
async function remains(pid: number): Promise<string[]> {
  let left: string[] = [];
  for (let i = 0; i < 200; i++) {
    left = [
      ...relativesOf(pid),
      ...threadTraces(pid).flatMap(({ tracer, state }) =>
        tracer === 0 && !'Tt'.includes(state) ? [] : [`a thread ${state} traced by ${tracer}`],
      ),
    ];
    if (left.length === 0) break;
    await pause(5);
  }
  return left;
}

test(`a tracer killed ${kills} times at any instant leaves nothing of itself in the process`, async () => {
  await using target = startProgram(copiedProgram, ['2', '8']);
  await target.nextLine();
  let before = await askHealth(target);
  const shares: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const child = spawn(process.execPath, [copier, String(target.pid)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const [text] = await Promise.race([once(child.stdout, 'data'), exit]);
    shares.push(Number(String(text)));
    await pause(Math.random() * 20);
    child.kill('SIGKILL');
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect(await remains(target.pid)).toEqual([]);
    const after = await askHealth(target);
    expect(after).toMatchObject({ wrong: 0, childSignals: 0, hasChild: 0 });
    expect(after.rounds).toBeGreaterThanOrEqual(before.rounds);
    before = after;
  }
  // Else the kills would have come where nothing can happen.
  expect(shares.toSorted((a, b) => a - b)[Math.floor(kills / 2)]).toBeGreaterThan(10);
  const { endedEarly, calls } = before;
  expect(calls).toBeGreaterThan(100);
  expect(endedEarly).toBe(0);
  target.child.stdin.write('q\n');
  expect(await target.ended).toBe(7);
}, 180_000);
