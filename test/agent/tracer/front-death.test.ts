import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { afterAll, describe, expect, test } from 'vitest';
import { readMaps } from '../../../agent/linux/proc.js';
import { breakpointsAt } from '../../support/code-bytes.js';
import { repositoryRoot } from '../../support/paths.js';
import { startProgram } from '../../support/running-program.js';
import {
  askCounts,
  busyProgram,
  idMasked,
  planFor,
  symbolAddress,
  threadTraces,
} from '../engines/ptrace/target.js';

/** A front in a process of its own: arms the engine, says the tracer's pid, and waits. */
const front = `
import { deserialize } from 'node:v8';
import { TracerSupervisor } from ${JSON.stringify(join(repositoryRoot, 'dist/agent/tracer/supervisor.js'))};
const [pid, engine, plan, journalFolder] = process.argv.slice(1);
const tracer = new TracerSupervisor({ journalFolder });
const tracerPid = await tracer.start();
const order = { pid: Number(pid), plan: deserialize(Buffer.from(plan, 'base64')), engine, maxHits: 1000, minIntervalNs: 0n };
await tracer.arm({ ...order, pointId: 'p' });
console.log(tracerPid);
// One is always being armed.
for (let i = 0; ; i++) await tracer.arm({ ...order, pointId: 'p' + i }).then(() => tracer.disarm('p' + i, order.pid), () => undefined);
`;

const folders = mkdtempSync(join(tmpdir(), 'stillframe-front-'));
afterAll(() => rmSync(folders, { recursive: true, force: true }));

const five = ['work', 'second', 'third', 'fourth', 'fifth'];

function addressesOf(pid: number): bigint[] {
  const base = readMaps(pid).find(({ path }) => path === busyProgram)?.start ?? 0n;
  return five.map((name) => base + symbolAddress(busyProgram, name));
}

describe('when the front is killed', () => {
  test.each([
    { what: 'hardware breakpoints', engine: 'ptrace', functions: ['work'] },
    { what: 'breakpoints in the code', engine: 'ptrace', functions: five },
    { what: 'uprobes', engine: 'uprobe', functions: ['work'] },
  ])('the tracer goes, and nothing of $what is left', async ({ engine, functions }) => {
    const folder = join(folders, functions.join('-') + engine);
    mkdirSync(folder);
    await using target = startProgram(busyProgram, ['2', 's']);
    await target.nextLine();
    const plan = serialize(planFor(functions, idMasked(-1n))).toString('base64');
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', front, String(target.pid), engine, plan, folder],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const tracerPid = Number(line);
    expect(process.kill(tracerPid, 0)).toBe(true);
    child.kill('SIGKILL');
    // What is in the code is taken out first, whatever that takes on a busy machine.
    const deadline = Date.now() + 60_000;
    while (isAlive(tracerPid) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 5));
    expect(isAlive(tracerPid)).toBe(false);
    expect(
      threadTraces(target.pid).filter(({ tracer, state }) => tracer !== 0 || 'Tt'.includes(state)),
    ).toEqual([]);
    expect(breakpointsAt(target.pid, addressesOf(target.pid))).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    const before = await askCounts(target);
    while ((await askCounts(target)).checksum === before.checksum) await new Promise((r) => setTimeout(r, 5));
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
