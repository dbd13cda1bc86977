import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../../support/paths.js';
import { startProgram } from '../../support/running-program.js';
import { askCounts, busyProgram, idMasked, planFor, threadTraces } from '../engines/ptrace/target.js';

/** A front in a process of its own: arms the engine, says the tracer's pid, and waits. */
const front = `
import { deserialize } from 'node:v8';
import { TracerSupervisor } from ${JSON.stringify(join(repositoryRoot, 'dist/agent/tracer/supervisor.js'))};
const [pid, engine, plan] = process.argv.slice(1);
const tracer = new TracerSupervisor();
const tracerPid = await tracer.start();
await tracer.arm({ pointId: 'p', pid: Number(pid), plan: deserialize(Buffer.from(plan, 'base64')), engine, maxHits: 1000, minIntervalNs: 0n });
console.log(tracerPid);
setInterval(() => undefined, 1000);
`;

describe('when the front is killed', () => {
  test.each(['ptrace', 'uprobe'])('the tracer goes, and nothing of %s is left', async (engine) => {
    await using target = startProgram(busyProgram, ['2', 's']);
    await target.nextLine();
    const plan = serialize(planFor(['work'], idMasked(-1n))).toString('base64');
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', front, String(target.pid), engine, plan],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const tracerPid = Number(line);
    expect(process.kill(tracerPid, 0)).toBe(true);
    child.kill('SIGKILL');
    const deadline = Date.now() + 5000;
    while (isAlive(tracerPid) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 5));
    expect(isAlive(tracerPid)).toBe(false);
    expect(
      threadTraces(target.pid).filter(({ tracer, state }) => tracer !== 0 || 'Tt'.includes(state)),
    ).toEqual([]);
    const before = await askCounts(target);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await askCounts(target)).checksum).toBeGreaterThan(before.checksum);
    target.child.stdin.write('q\n');
    expect(await target.ended).toBe(7);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
