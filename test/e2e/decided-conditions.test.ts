/**
 * Conditions that the kernel cannot decide, on services under load: only hits for which they hold arrive, the others are counted, and what cannot be told is said. With each
 * engine that has points, through a controller, for log lines, and with the agent killed meanwhile.
 */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SnapshotJson } from '../support/documents.js';
import {
  cplusplusService,
  goService,
  type LanguageService,
  type RunningService,
  rustService,
  startService,
} from '../support/language-service.js';

const timeout = 180_000;

interface Asked {
  readonly condition: string;
  /** What is captured, and what it must be in each hit. */
  readonly shown: string;
  readonly pattern: RegExp;
}

const hits = 8;

/** As many hits as were asked, for which the condition holds; others passed meanwhile, and were counted. */
async function onlyTrueHits(
  { workplace, service, location }: RunningService,
  { condition, shown, pattern }: Asked,
  ...more: string[]
): Promise<void> {
  const asked = [
    '--if',
    condition,
    '--capture',
    shown,
    '--hits',
    String(hits),
    '--every',
    '0s',
    '--wait',
    '110s',
  ];
  const snapshots = (await workplace.json(
    'snap',
    String(service.pid),
    location,
    ...asked,
    ...more,
  )) as SnapshotJson[];
  expect(snapshots).toHaveLength(hits);
  for (const { captures, engine } of snapshots) {
    expect(captures[0]?.text).toMatch(pattern);
    expect(engine).toBe(more.includes('ptrace') ? 'ptrace' : 'uprobe');
  }
  const { cost } = snapshots.at(-1) ?? {};
  expect(cost?.conditionFalse).toBeGreaterThan(0);
  expect(cost?.hits).toBeGreaterThanOrEqual(hits + (cost?.conditionFalse ?? 0));
}

describe('a service in C++', () => {
  let running: RunningService;
  beforeAll(async () => {
    running = await startService(cplusplusService);
  }, timeout);
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
  });

  const condition =
    'request.items.size() > 1 && request.name.matches("^a.c$") && request.stock["pear"] == 5 && request.items[1].price * 2.0 > 40.0';
  const about = { condition, shown: 'request.name', pattern: /^abc$/ };

  test('explain says which part of a condition runs where', { timeout }, async () => {
    const { workplace, service, location } = running;
    const asked = ['explain', String(service.pid), location, '--if', condition];
    const [document] = (await workplace.json(...asked)) as [{ sites: { condition: unknown }[] }];
    expect(document.sites[0]?.condition).toMatchObject({
      text: condition,
      runsIn: 'kernel and agent',
      parts: [
        { text: 'request.items.size() > 1', runsIn: 'kernel' },
        {
          text: 'request.name.matches("^a.c$")',
          runsIn: 'agent',
          reason: '"matches" cannot run in the kernel; it needs a loop over the whole string',
        },
        {
          text: 'request.stock["pear"] == 5',
          runsIn: 'agent',
          reason: 'request.stock["pear"] needs a walk from node to node, which cannot run in the kernel',
        },
        {
          text: 'request.items[1].price * 2.0 > 40.0',
          runsIn: 'agent',
          reason: 'floating arithmetic cannot run in the kernel; only comparisons can',
        },
      ],
    });
  });

  test('a pattern, the value of a key, arithmetic of floats', { timeout }, async () => {
    await onlyTrueHits(running, about);
  });

  test('the same where threads are stopped', { timeout }, async () => {
    await onlyTrueHits(running, about, '--engine', 'ptrace');
  });

  test('what cannot be told is no hit, is counted, and says why', { timeout }, async () => {
    const { workplace, service, location } = running;
    const asked = ['--if', 'request.stock["none"] == 1', '--wait', '3s'];
    const { stdout } = await workplace.run('snap', String(service.pid), location, ...asked, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      error: {
        code: 'expired',
        message: expect.stringMatching(
          /condition false 0 times, condition not decided \d+ times? \(last: request\.stock\["none"\]: there is no such key among 3\)$/,
        ) as unknown,
      },
    });
  });

  test('a log tells only what the condition holds for', { timeout }, async () => {
    const { workplace, service, location } = running;
    const asked = ['log', String(service.pid), location, '{request.name} {request.id_}', '--for', '5s'];
    const told = await workplace.run(
      ...asked,
      '--if',
      'request.notes[1].contains("long") && request.name.contains("bc")',
    );
    expect(told.status).toBe(0);
    const lines = told.stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/"?abc"? \d+$/);
  });

  test('a metric is refused, for nothing leaves the kernel', { timeout }, async () => {
    const { workplace, service, location } = running;
    const asked = ['metric', String(service.pid), location, '--count', '--for', '1s'];
    const refused = await workplace.run(...asked, '--if', 'request.name.contains("bc")');
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain(
      '"contains" cannot run in the kernel; it needs a loop over the whole string; hits that are added up never leave the kernel',
    );
  });
});

describe('others', () => {
  const others: readonly (readonly [string, LanguageService, Asked])[] = [
    [
      'Rust: the value of a key of a HashMap, a text that contains another',
      rustService,
      {
        condition: 'self.headers["host"] == "example.org" && self.name.contains("bc")',
        shown: 'self.name',
        pattern: /^abc$/,
      },
    ],
    [
      'Go: the value of a key of a map, a pattern',
      goService,
      {
        condition: 'r.Stock["pear"] == 5 && r.Name.matches("^a.c$")',
        shown: 'r.Name',
        pattern: /^abc$/,
      },
    ],
  ];
  test.each(others)('%s', { timeout }, async (_, service, about) => {
    await using running = await startService(service);
    await onlyTrueHits(running, about);
  });
});

describe('through a controller, with the agent killed meanwhile', () => {
  test('as many hits as were asked arrive, and all of them are true', { timeout: 2 * timeout }, async () => {
    await using running = await startService(cplusplusService, { withoutAgent: true });
    const { workplace, service, location } = running;
    const agent = await workplace.startAgent();
    await workplace.startController();
    const condition = 'request.name.contains("bc") && request.headers["host"] == "example.org"';
    const asked = ['--if', condition, '--capture', 'request.name', '--hits', '20', '--every', '200ms'];
    const snapping = workplace.json('snap', String(service.pid), location, ...asked, '--wait', '110s');
    await expect.poll(async () => (await workplace.json('snapshots')).length).toBeGreaterThanOrEqual(3);
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await workplace.startAgent();
    const snapshots = (await snapping) as SnapshotJson[];
    expect(new Set(snapshots.map(({ id }) => id)).size).toBe(20);
    for (const { captures } of snapshots) expect(captures[0]?.text).toBe('abc');
    const [point] = (await workplace.json('points', snapshots[0]?.point ?? '')) as {
      conditionFalse: number;
    }[];
    expect(point).toMatchObject({ state: 'ended', end: 'hits', delivered: 20 });
    expect(point?.conditionFalse).toBeGreaterThan(0);
  });
});
