/** An agent of an ordinary user with CAP_BPF and CAP_PERFMON and nothing else: all of it on processes of that user, and on others the name of what is missing. */
import { getuid } from 'node:process';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkerProgram } from '../soak/kill-storm.js';
import { takenAddressRegisters } from '../support/address-registers.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import type { SnapshotJson } from '../support/documents.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { requireFeature } from '../support/require-feature.js';
import { asOrdinary, startAgentAsUnit } from './unit-file.js';

const two = ['CAP_BPF', 'CAP_PERFMON'];

let workplace: Workplace;
let own: StartedProgram;
let others: StartedProgram;
let at: readonly string[];

beforeAll(async () => {
  workplace = openWorkplace();
  const args = [...asOrdinary([]), checkerProgram(), '2'];
  own = await workplace.startProgram('setpriv', args, { ready: /^ready$/, stdin: true });
  others = await workplace.startProgram(checkerProgram(), ['2'], { ready: /^ready$/, stdin: true });
  at = ['--agent', (await startAgentAsUnit(workplace, 'two', { only: two })).address];
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
});

const on = (program: StartedProgram): string => String(program.pid);

test('doctor says for which processes each engine is', async () => {
  const [doctor] = (await workplace.json('doctor', ...at)) as [
    {
      readonly engines: readonly {
        readonly engine: string;
        readonly supported: string;
        readonly detail: string;
      }[];
    },
  ];
  const which = 'for processes of its own user only: others need CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH';
  for (const { engine, supported, detail } of doctor.engines) {
    expect([engine, supported]).toEqual([engine, 'yes']);
    expect(detail).toContain(which);
  }
  expect(doctor.engines.map(({ engine }) => engine)).toEqual(expect.arrayContaining(['uprobe', 'watch']));
});

test('points, metrics, log lines and watches of its own user', async () => {
  const [snapshot] = (await workplace.json('snap', on(own), 'step', '--capture', 'work->name', ...at)) as [
    SnapshotJson,
  ];
  expect(snapshot.engine).toBe('uprobe');
  expect(['red', 'green', 'blue']).toContain(snapshot.captures[0]?.text);
  const [watched] = (await workplace.json('watch', on(own), 'latest', ...at)) as [SnapshotJson];
  expect(watched).toMatchObject({ engine: 'watch', location: { function: 'step' } });
  const metrics = await workplace.json(
    'metric',
    on(own),
    'step',
    '--count',
    '--by',
    'work->name',
    '--for',
    '500ms',
    ...at,
  );
  expect(metrics.at(-1)).toMatchObject({ final: true, engine: 'uprobe' });
  expect((metrics.at(-1) as { readonly hits: number }).hits).toBeGreaterThan(100);
  const lines = await workplace.json('log', on(own), 'step', 'kind {work->kind}', '--for', '1s', ...at);
  expect((lines as { readonly text?: string }[]).some(({ text }) => /^kind [012]$/.test(text ?? ''))).toBe(
    true,
  );
  expect(probeLinksOf(own.pid)).toEqual([]);
  expect(takenAddressRegisters(own.pid)).toBe(0);
});

test.each([
  ['snap', 'step'],
  ['watch', 'latest'],
  ['metric', 'step', '--count', '--for', '500ms'],
])('%s of another user is refused, and says what it takes', async (command, ...rest) => {
  const result = await workplace.run(command, on(others), ...rest, ...at);
  expect(result.stderr).toMatch(/CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH/);
  expect(result.status).toBe(5);
});

test.each(two)('without %s neither points nor watches are, and doctor names it', async (missing) => {
  const only = two.filter((each) => each !== missing);
  const agent = await startAgentAsUnit(workplace, missing, { only });
  const [doctor] = (await workplace.json('doctor', '--agent', agent.address)) as [
    {
      readonly engines: readonly {
        readonly engine: string;
        readonly supported: string;
        readonly remedy?: string;
      }[];
    },
  ];
  for (const wanted of ['uprobe', 'watch']) {
    const found = doctor.engines.find(({ engine }) => engine === wanted);
    expect([wanted, found?.supported]).toEqual([wanted, 'no']);
    expect(found?.remedy).toContain(missing);
  }
  const result = await workplace.run('watch', on(own), 'latest', '--agent', agent.address);
  expect(result.stderr).toContain(missing);
  expect(result.status).toBe(5);
});
