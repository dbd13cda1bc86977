/**
 * `stillframe metric` against a program that counts for itself: nothing is lost and nothing is counted twice, whatever ends first; and
 * agent and tracer killed with -9 leave the target as it was.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProcessMemory } from '../../agent/linux/memory.js';
import type { MetricDocument } from '../../controller/service/metric-document.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { compileFixture } from '../support/compile.js';
import { repositoryRoot } from '../support/paths.js';
import { type RunningProgram, startProgram } from '../support/running-program.js';
import { symbolAddress } from '../agent/engines/uprobe/lab.js';

const kinds = ['RED', 'GREEN', 'BLUE'];
const paths = ['/', '/items/with/a/path/that/is/longer/than/thirty', '/cart'];

let workplace: Workplace;
let agent: { readonly pid?: number | undefined };
beforeEach(async () => {
  workplace = openWorkplace();
  // Millions of hits are what these tests are about: no bound on the CPU time that they take.
  const policy = join(workplace.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ wholeMemory: true, cpuPercent: { point: 0, host: 0 } }));
  agent = await workplace.startAgent({ args: ['--policy', policy] });
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

/** What the program counted. */
interface Own {
  readonly passes: number;
  readonly counts: readonly number[];
  readonly sums: readonly string[];
  readonly logs: ReadonlyMap<string, number>;
}

async function startPasses(
  threads: number,
): Promise<RunningProgram & { pass(times: number | 'stop'): Promise<Own> }> {
  const path = compileFixture('probe-lab/passes.c', { cc: 'gcc', flags: ['-g', '-O2', '-pthread'] });
  const program = startProgram(path, [String(threads)]);
  await program.nextLine();
  return {
    ...program,
    async pass(times) {
      program.child.stdin.write(`${times}\n`);
      const words = (await program.nextLine()).split(' ');
      const logs = words.slice(7).map(Number);
      const named = logs.map((count, i): [string, number] => {
        if (i === 65) return ['..0', count];
        return [i === 0 ? '0..1' : `${2n ** BigInt(i - 1)}..${2n ** BigInt(i)}`, count];
      });
      return {
        passes: Number(words[0]),
        counts: [1, 3, 5].map((i) => Number(words[i])),
        sums: [2, 4, 6].map((i) => words[i] ?? ''),
        logs: new Map(named.filter(([, count]) => count > 0)),
      };
    },
  };
}

interface Running extends StartedProgram {
  readonly documents: () => MetricDocument[];
  /** As Ctrl-C does; the last document, which is final. */
  end(signal?: NodeJS.Signals): Promise<MetricDocument>;
}

/** Resolves when it counts. */
async function startMetric(pid: number, ...args: string[]): Promise<Running> {
  const started = await workplace.startProgram(
    process.execPath,
    [
      join(repositoryRoot, 'bin', 'stillframe.js'),
      'metric',
      String(pid),
      'pass',
      '--json',
      '--every',
      '200ms',
      ...args,
    ],
    { ready: /^\{/ },
  );
  const documents = (): MetricDocument[] => started.lines.map((line) => JSON.parse(line) as MetricDocument);
  expect(started.lines[0]).toContain('"final":false');
  return {
    ...started,
    documents,
    async end(signal) {
      const exit = new Promise<number | null>((resolve) => started.process.once('close', resolve));
      if (signal !== undefined) started.process.kill(signal);
      expect(await exit, started.lines.at(-1)).toBe(0);
      const last = documents().at(-1);
      if (last === undefined) throw new Error('it told nothing');
      expect(last.final).toBe(true);
      return last;
    },
  };
}

const bucketsOf = (document: MetricDocument): Map<string, number> =>
  new Map((document.total.buckets ?? []).map(({ from = '', to = '', count }) => [`${from}..${to}`, count]));

test('a million hits of four threads, in groups and buckets, are those that the program counted', async () => {
  await using passes = await startPasses(4);
  const metric = await startMetric(passes.pid, '--histogram', 'request->size', '--by', 'request->kind');
  const own = await passes.pass(250_000);
  const last = await metric.end('SIGINT');
  expect(last).toMatchObject({
    hits: 1_000_000,
    conditionFalse: 0,
    unreadable: 0,
    engine: 'uprobe',
    notes: [],
  });
  expect(last.total.count).toBe(own.passes);
  expect(bucketsOf(last)).toEqual(own.logs);
  const byKind = new Map(last.groups?.map((group) => [group.group, group]));
  expect(kinds.map((kind) => byKind.get(kind)?.count)).toEqual(own.counts);
  expect(kinds.map((kind) => byKind.get(kind)?.sum)).toEqual(own.sums);
  expect(last.other).toBeUndefined();
});

test('a process that ends meanwhile is counted to its end', async () => {
  await using passes = await startPasses(2);
  const metric = await startMetric(
    passes.pid,
    '--sum',
    'request->size',
    '--by',
    'request->path',
    '--if',
    'request->kind != RED',
  );
  const own = await passes.pass(50_000);
  passes.child.stdin.write('bye\n');
  const last = await metric.end();
  expect(last.hits).toBe(own.passes);
  expect(last.conditionFalse).toBe(own.counts[0]);
  const byPath = new Map(last.groups?.map((group) => [group.group, group]));
  expect([1, 2].map((i) => byPath.get(paths[i] ?? ''))).toMatchObject([
    { count: own.counts[1], sum: own.sums[1] },
    { count: own.counts[2], sum: own.sums[2] },
  ]);
  expect(last.notes.join()).toContain(`process ${passes.pid} is gone`);
});

test('groups beyond the bound are other, strings are cut and say so, a full array is a string', async () => {
  await using passes = await startPasses(1);
  const bounded = await startMetric(passes.pid, '--count', '--by', 'request->kind', '--max-groups', '2');
  const cut = await startMetric(passes.pid, '--count', '--by', 'request->path', '--string-bytes', '5');
  const tags = await startMetric(passes.pid, '--count', '--by', 'request->tag');
  const own = await passes.pass(3000);
  const last = await bounded.end('SIGINT');
  expect(last.groups?.length).toBe(2);
  expect(last.total.count).toBe(own.passes);
  expect((last.other?.count ?? 0) + (last.groups ?? []).reduce((sum, { count }) => sum + count, 0)).toBe(
    own.passes,
  );
  expect(own.counts).toContain(last.other?.count);
  const strings = (await cut.end('SIGINT')).groups ?? [];
  expect(
    new Map(strings.map(({ group, count, cut: isCut }) => [`${group}${isCut === true ? '…' : ''}`, count])),
  ).toEqual(
    new Map([
      ['/', own.counts[0]],
      ['/item…', own.counts[1]],
      ['/cart', own.counts[2]],
    ]),
  );
  const arrays = (await tags.end('SIGINT')).groups ?? [];
  expect(new Map(arrays.map(({ group, count }) => [group, count]))).toEqual(
    new Map([
      ['red', own.counts[0]],
      ['gren', own.counts[1]],
      ['blu', own.counts[2]],
    ]),
  );
});

test('through a controller that runs on, for a time', async () => {
  await using passes = await startPasses(1);
  await workplace.startController();
  const metric = await startMetric(passes.pid, '--count', '--for', '6s');
  const own = await passes.pass(20_000);
  const last = await metric.end();
  expect(last.total.count).toBe(own.passes);
  expect(last.processes).toMatchObject([{ pid: passes.pid }]);
});

/** The first byte of what is probed: a breakpoint, or what the compiler put there. */
function isProbed(pid: number): boolean {
  const path = compileFixture('probe-lab/passes.c', { cc: 'gcc', flags: ['-g', '-O2', '-pthread'] });
  const first = BigInt(`0x${readFileSync(`/proc/${pid}/maps`, 'utf8').split('-')[0] ?? ''}`);
  using memory = new ProcessMemory(pid);
  const read = memory.read(first + symbolAddress(path, 'pass'), 8);
  if (!('bytes' in read)) throw new Error(read.detail);
  return read.bytes.includes(0xcc);
}

function tracerOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
}

/** `seen`: what to show when it does not come. */
async function until(what: () => boolean, seen: () => unknown = () => undefined): Promise<void> {
  for (let i = 0; i < 6000 && !what(); i++) await sleep(10);
  expect(what(), JSON.stringify(seen())).toBe(true);
}

test('the tracer killed while a metric counts: it goes on, and says that hits are missing', async () => {
  await using passes = await startPasses(2);
  const metric = await startMetric(passes.pid, '--count', '--by', 'request->kind');
  passes.child.stdin.write('free\n');
  await until(
    () => (metric.documents().at(-1)?.total.count ?? 0) > 0,
    () => metric.documents().at(-1),
  );
  const before = metric.documents().at(-1)?.total.count ?? 0;
  process.kill(tracerOf(agent.pid ?? 0), 'SIGKILL');
  await until(() => (metric.documents().at(-1)?.notes.length ?? 0) > 0);
  const told = metric.documents().length;
  await until(() => metric.documents().length > told + 1);
  const last = await metric.end('SIGINT');
  expect(last.notes).toEqual(['the tracer died: hits since it was last asked are not counted']);
  expect(last.total.count).toBeGreaterThanOrEqual(before);
  await until(() => !isProbed(passes.pid));
  const own = await passes.pass('stop');
  expect(own.counts.reduce((sum, count) => sum + count)).toBe(own.passes);
  expect(last.total.count).toBeLessThan(own.passes);
});

test('the agent killed while a metric counts leaves nothing', async () => {
  await using passes = await startPasses(2);
  const metric = await startMetric(passes.pid, '--histogram', 'request->size');
  expect(isProbed(passes.pid)).toBe(true);
  passes.child.stdin.write('free\n');
  const exit = new Promise<number | null>((resolve) => metric.process.once('close', resolve));
  process.kill(agent.pid ?? 0, 'SIGKILL');
  await until(() => !isProbed(passes.pid));
  const own = await passes.pass('stop');
  expect(own.counts.reduce((sum, count) => sum + count)).toBe(own.passes);
  // Its numbers end with the agent, and what came before is told.
  expect(await exit).toBe(0);
  expect(metric.documents().at(-1)?.notes.join()).toContain('the numbers are those that it told last');
});

test('what cannot be added up is refused with the reason', async () => {
  await using passes = await startPasses(1);
  const refused: readonly (readonly [readonly string[], string])[] = [
    [['--sum', 'request->path[0] * 1.5'], 'floating arithmetic cannot run in the kernel'],
    [['--sum', '*request'], 'values of type "struct request" cannot be computed with in the kernel'],
    [
      ['--histogram', 'request->size', '--by', 'request->kind', '--max-groups', '10000'],
      '660000 buckets in all, 200000 are the most',
    ],
    [['--count', '--engine', 'ptrace'], 'metrics need eBPF'],
  ];
  const results = await Promise.all(
    refused.map(([args]) => workplace.run('metric', String(passes.pid), 'pass', ...args)),
  );
  results.forEach(({ status, stderr }, i) => {
    expect(stderr).toContain(refused[i]?.[1]);
    expect(status).not.toBe(0);
  });
});
