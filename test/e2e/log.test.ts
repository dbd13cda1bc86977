/** `stillframe log`: lines in order with the values of their hits, a rate that says what it left out, and nothing that stays. */
import { copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connectAgent } from '../support/agent-client.js';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { compileFixture } from '../support/compile.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { repositoryRoot } from '../support/paths.js';
import { type RunningProgram, startProgram } from '../support/running-program.js';
import { uniqueName } from '../support/ticker.js';

interface Line {
  readonly host?: string;
  readonly text?: string;
  readonly time?: string;
  readonly level?: string;
  readonly dropped?: number;
}

const kinds = ['RED /', 'GREEN /items/with/a/path/that/is/longer/than/thirty', 'BLUE /cart'];

/** Policies of owners who let out neither raw stacks nor more than ten lines a second. */
function writePolicy(workplace: Workplace, policy: object): readonly string[] {
  const path = join(workplace.folder, 'policy.json');
  // The program passes as fast as it can.
  writeFileSync(path, JSON.stringify({ cpuPercent: { point: 0, host: 0 }, ...policy }));
  return ['--policy', path];
}

/** `name`: in `folder`, where it is looked for by name. Other tests run the same program. */
async function startPasses(named?: {
  readonly folder: string;
  readonly name: string;
}): Promise<RunningProgram> {
  const path = compileFixture('probe-lab/passes.c', { cc: 'gcc', flags: ['-g', '-O2', '-pthread'] });
  const own = named === undefined ? path : join(named.folder, named.name);
  if (named !== undefined) copyFileSync(path, own);
  const passes = startProgram(own, ['1']);
  await passes.nextLine();
  passes.child.stdin.write('free\n');
  return passes;
}

const template = '{request->kind} {request->path} {request->size} {request->size:x} {{{request->tag}}}';
const options = ['--if', 'request->size > 0', '--rate', '10/s', '--for', '2s', '--level', 'warn'];

function checkLines(documents: readonly Line[]): readonly Line[] {
  const lines = documents.filter(({ text }) => text !== undefined);
  expect(lines.length).toBeGreaterThan(5);
  // At most one in 100 ms, from the arming to the removal.
  const times = lines.map(({ time = '' }) => time);
  expect(times.toSorted()).toEqual(times);
  for (const { text = '', level } of lines) {
    expect(level).toBe('warn');
    const [, what = '', size = '', hex = '', tag = ''] =
      /^(\w+ \S+) (\d+) (0x[0-9a-f]+) \{(\w+)\}$/.exec(text) ?? [];
    expect(kinds).toContain(what);
    expect(BigInt(hex)).toBe(BigInt(size));
    expect(['red', 'gren', 'blu'][kinds.indexOf(what)]).toBe(tag);
  }
  expect(documents.reduce((sum, { dropped = 0 }) => sum + dropped, 0)).toBeGreaterThan(1000);
  return lines;
}

function spooledCores(workplace: Workplace): readonly string[] {
  const spool = join(workplace.folder, 'spool');
  return existsSync(spool) ? readdirSync(spool).filter((file) => file.endsWith('.core')) : [];
}

test('lines come in order with the values of their hits; what has none is counted', async () => {
  await using workplace = openWorkplace();
  await workplace.startAgent({ args: writePolicy(workplace, { rawStack: false, logRate: 10 }) });
  await using passes = await startPasses();
  const asked = ['log', String(passes.pid), 'pass', template] as const;
  const lines = checkLines((await workplace.json(...asked, ...options)) as Line[]);
  expect(lines[0]).not.toHaveProperty('host');
  // No core is kept, here or there.
  expect(await workplace.json('snapshots')).toEqual([]);
  expect(spooledCores(workplace)).toEqual([]);
  const refused = await workplace.run(...asked, '--rate', '11/s', '--for', '1s');
  expect(refused.stderr).toContain('does not allow 11 log lines a second (logRate: 10)');
  expect(refused.status).toBe(5);
});

test('through a controller the same lines come, and they say where from; a command that goes ends them', async () => {
  await using workplace = openWorkplace();
  await workplace.startAgent({ args: writePolicy(workplace, { logRate: 50 }) });
  await workplace.startController();
  const name = uniqueName();
  await using passes = await startPasses({ folder: workplace.folder, name });
  const asked = ['log', String(passes.pid), 'pass', template] as const;
  const lines = checkLines((await workplace.json(...asked, ...options)) as Line[]);
  expect(new Set(lines.map(({ host }) => host))).toEqual(new Set([hostname()]));
  expect(await workplace.json('snapshots')).toEqual([]);
  expect(spooledCores(workplace)).toEqual([]);
  const wrong = await workplace.run('log', String(passes.pid), 'pass', '{request->nothing}', '--for', '1s');
  expect(wrong.status).toBe(6);

  // Killed, it is missed at once: the controller hears that it hung up.
  const command = await workplace.startProgram(
    process.execPath,
    [
      join(repositoryRoot, 'bin', 'stillframe.js'),
      'log',
      `name:${name}`,
      'pass',
      '{request->size}',
      '--json',
    ],
    { ready: /"text"/ },
  );
  using client = await connectAgent(workplace.environment['STILLFRAME_AGENT'] ?? '');
  const alive = async (): Promise<number> =>
    (await client.points()).filter(({ phase }) => phase !== 'ended').length;
  expect(await alive()).toBe(1);
  command.process.kill('SIGKILL');
  await expect.poll(alive).toBe(0);
  expect(probeLinksOf(passes.pid)).toEqual([]);
});
