import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ByteWriter } from '../../format/bytes.js';
import { decodePlan, encodePlan } from '../../format/plan/encode.js';
import { connectAgent, orderFor } from '../support/agent-client.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { breakpointsAt } from '../support/code-bytes.js';
import { local, type SnapshotJson } from '../support/documents.js';
import { chargeLocation, startOrderService } from '../support/order-service.js';
import { repositoryRoot } from '../support/paths.js';
import { requireFeature } from '../support/require-feature.js';

/** What goes wrong with a live service: each a clear error with its status, nothing left armed, nothing lost. */
let workplace: Workplace;
let service: StartedProgram & { readonly path: string };
let pid: string;
let good: SnapshotJson;

beforeAll(async () => {
  workplace = openWorkplace();
  service = await startOrderService(workplace, { rate: 500, workers: 2 });
  pid = String(service.pid);
  await workplace.startAgent();
  [good] = (await workplace.json('snap', pid, chargeLocation())) as [SnapshotJson];
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});

interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}

async function fails(...args: string[]): Promise<{ status: number | null; error: ErrorJson }> {
  const result = await workplace.run(...args, '--json');
  const { error } = JSON.parse(result.stdout) as { error: ErrorJson };
  return { status: result.status, error };
}

/** The line of the sample service that has this text. */
function lineOf(file: string, text: string): number {
  const path = join(repositoryRoot, 'native-fixtures', 'order-service', file);
  return (
    readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((line) => line.includes(text)) + 1
  );
}

describe('locations', () => {
  test('a line without code: the nearest that has some', async () => {
    const line = lineOf('orders.c', 'What the service has taken');
    const { status, error } = await fails('snap', pid, `orders.c:${line}`);
    expect(status).toBe(3);
    expect(error.code).toBe('not-found');
    expect(error.message).toBe(
      `cannot resolve location "orders.c:${line}": line ${line} of "orders.c" has no code`,
    );
    expect(error.candidates).toEqual(
      expect.arrayContaining([expect.stringMatching(/^orders\.c:\d+$/) as string]),
    );
    expect(error.hint).toMatch(/^the nearest lines? that ha(s|ve) some/);
  });

  test('an unknown function, an unknown file: near matches', async () => {
    expect(await fails('snap', pid, 'charge_ordr')).toEqual({
      status: 3,
      error: {
        code: 'not-found',
        message: `cannot resolve location "charge_ordr": "${service.path}" has no function "charge_ordr"`,
        hint: 'did you mean "charge_order"?',
        candidates: ['charge_order'],
      },
    });
    expect(await fails('snap', pid, 'ordrs.c:70')).toEqual({
      status: 3,
      error: {
        code: 'not-found',
        message: `cannot resolve location "ordrs.c:70": "${service.path}" has no source file "ordrs.c"`,
        hint: 'did you mean "orders.c"?',
        candidates: ['orders.c'],
      },
    });
  });
});

describe('expressions: where in the text', () => {
  test.each([
    ['ordr->total > 1', 'character 1: no variable "ordr" in scope', 'did you mean "order"?'],
    ['order->totl > 1', 'character 8: "struct order" has no member "totl"', 'did you mean "total"?'],
    [
      'order.customer + order',
      'character 16: cannot apply "+" to "struct customer *" and "struct order *"',
      undefined,
    ],
    ['*order->total', 'character 2: cannot dereference "long": it is not a pointer', undefined],
    ['order->total >> ) 3', 'character 17: expected a value, found ")"', undefined],
  ])('%s', async (expression, message, hint) => {
    const { status, error } = await fails('snap', pid, chargeLocation(), '--if', expression);
    expect(status).toBe(6);
    expect(error).toMatchObject({
      code: 'bad-expression',
      message: `cannot understand "${expression}" at ${message}`,
    });
    expect(error.hint).toBe(hint);
  });

  test('a condition on a variable that is optimised out: where it can be had', async () => {
    const location = `main.c:${lineOf('main.c', '    sleep(1);')}`;
    const { status, error } = await fails('snap', pid, location, '--if', 'second == 1');
    expect(status).toBe(6);
    expect(error.code).toBe('unsupported');
    expect(error.message).toMatch(
      /^cannot decide condition "second == 1" at main \(main\.c:\d+\) at 0x[0-9a-f]+: second: optimized out/,
    );
  });
});

test('option values that make no sense, status 2', async () => {
  const rows = [
    [['--hits', '1001'], '--hits must be from 1 to 1000, not 1001'],
    [['--every', '-1s'], '--every: "-1s" is no duration'],
    [['--wait', '99999999999999d'], '--wait: "99999999999999d" is too long'],
    [['--expire', '0s'], '--expire must be longer than nothing'],
    [['--bytes', '10M'], 'cannot plan the point: the bytes of a hit must be from 1 to 524288, not 10485760'],
  ] as const;
  for (const [args, message] of rows) {
    const { status, error } = await fails('snap', pid, chargeLocation(), ...args);
    expect([status, error.code, error.message]).toEqual([2, 'usage', message]);
  }
  // To an agent, an empty selector would be all processes.
  expect(await fails('snap', '', 'main')).toMatchObject({
    status: 2,
    error: { code: 'usage', message: 'cannot parse target "": it is empty' },
  });
});

test('the wait ran out: how often it was passed', async () => {
  const { status, error } = await fails(
    'snap', pid, chargeLocation(), '--if', 'order->total < 0', '--wait', '1s',
  ); // prettier-ignore
  expect(status).toBe(4);
  const counts =
    /^point \w{12} did not fire within 1 s: armed at \d+ addresse?s? in process \d+ by uprobe: (\d+) hits, condition false (\d+) times$/.exec(
      error.message,
    );
  expect(counts, error.message).not.toBeNull();
  expect(counts?.[1]).toBe(counts?.[2]);
  expect(error.hint).toBe('wait longer with --wait, or leave it armed with --detach');
});

describe('programs that change under the feet', () => {
  const twin = (word: string, more: string): string => `#include <stdio.h>
#include <unistd.h>
${more}__attribute__((noinline)) int step(int n) {
  int ${word} = n * 2;
  __asm__ volatile("" :: "r"(${word}));
  return ${word};
}
`;
  const main =
    'int step(int); int other(void); int main(void) { int n = 0; puts("ready"); fflush(stdout); for (;;) { step(++n); other(); usleep(10000); } }\n';

  function build(name: string, word: string, more = ''): string {
    const folder = join(workplace.folder, name);
    for (const part of ['a', 'b']) mkdirSync(join(folder, part), { recursive: true });
    writeFileSync(join(folder, 'a', 'same.c'), twin(word, more));
    writeFileSync(
      join(folder, 'b', 'same.c'),
      '__attribute__((noinline)) int other(void) {\n  __asm__ volatile("");\n  return 1;\n}\n',
    );
    writeFileSync(join(folder, 'main.c'), `#include <stdio.h>\n#include <unistd.h>\n${main}`);
    const program = join(folder, 'twosame');
    const sources = ['a/same.c', 'b/same.c', 'main.c'].map((file) => join(folder, file));
    execFileSync('gcc', ['-g', '-O1', '-Wl,--build-id=sha1', '-o', program, ...sources]);
    return program;
  }
  const start = (program: string): Promise<StartedProgram> =>
    workplace.startProgram(program, [], { ready: /^ready$/ });

  test('an ambiguous file, an ambiguous name, an end while armed', async () => {
    const program = build('one', 'twice');
    const [first, second] = await Promise.all([start(program), start(program)]);
    const where = await fails('snap', String(first.pid), 'same.c:3');
    expect(where.status).toBe(3);
    expect(where.error.code).toBe('ambiguous');
    expect(where.error.candidates?.map((path) => path.split('/').slice(-2).join('/')).toSorted()).toEqual([
      'a/same.c:3',
      'b/same.c:3',
    ]);

    const now = await fails('now', 'name:twosame');
    expect(now.status).toBe(3);
    expect(now.error).toEqual({
      code: 'ambiguous',
      message: '"name:twosame" fits 2 processes',
      candidates: [first.pid, second.pid]
        .toSorted((a, b) => a - b)
        .map((each) => `${each} twosame (${program})`),
      hint: 'name one by its pid',
    });

    const waiting = fails('snap', String(first.pid), 'step', '--if', 'n < 0', '--wait', '10m');
    await using client = await connection();
    for (let i = 0; i < 1200; i++) {
      const views = await client.points();
      if (views.some(({ phase, location }) => phase === 'armed' && location === 'step')) break;
      await sleep(100);
    }
    first.process.kill('SIGKILL');
    const { status, error } = await waiting;
    expect([status, error.code]).toEqual([3, 'target-gone']);
    expect(error.message).toMatch(
      new RegExp(`^point \\w{12} ended before it fired: process ${first.pid} is gone`),
    );
    second.process.kill('SIGKILL');
  });

  test('a program replaced on disk: the file that runs, or nothing', async () => {
    const program = build('two', 'twice');
    const newer = build('three', 'thrice', '\n\n\n');
    const old = `${program}.old`;
    copyFileSync(program, old);
    const running = await start(program);
    // As a deployment does it: the name leads to another file now.
    copyFileSync(newer, `${program}.new`);
    renameSync(`${program}.new`, program);
    const target = String(running.pid);

    const [snapshot] = (await workplace.json('snap', target, 'step')) as [SnapshotJson];
    expect(snapshot.buildId).toBe(buildIdOf(old));
    expect(snapshot.frames[0]).toMatchObject({ function: 'step', line: snapshot.location.line });
    expect(local(snapshot.frames[0], 'n').absent).toBeUndefined();
    expect(JSON.stringify(snapshot)).not.toContain('thrice');

    const hint =
      'it was rebuilt or replaced since the process started: restart the process, or give the old file with --exe FILE';
    expect(await fails('snap', target, 'step', '--exe', newer)).toEqual({
      status: 6,
      error: {
        code: 'mismatch',
        message: `"${newer}" is not the file that runs: it has build id ${buildIdOf(newer)}, the process maps build id ${buildIdOf(old)}`,
        hint,
      },
    });
    expect(await fails('show', snapshot.id, '--exe', newer)).toEqual({
      status: 6,
      error: {
        code: 'mismatch',
        message: `"${newer}" has build id ${buildIdOf(newer)}, but the file that was running has build id ${buildIdOf(old)}`,
        hint: 'give the file that was running with --exe',
      },
    });

    // With the process its file is gone: then nothing is known, and nothing is taken from the new one.
    const ended = new Promise((resolve) => running.process.once('exit', resolve));
    running.process.kill('SIGKILL');
    await ended;
    const [later] = (await workplace.json('show', snapshot.id)) as [SnapshotJson];
    expect(later.frames[0]?.function).toBeUndefined();
    expect(later.frames[0]?.absent).toMatchObject({ reason: 'no-debug-info' });
    expect(later.frames[0]?.absent?.detail).toContain(
      `"${program}" has build id ${buildIdOf(newer)}, but the file that was running has build id ${buildIdOf(old)}`,
    );
    const [again] = (await workplace.json('show', snapshot.id, '--exe', old)) as [SnapshotJson];
    expect(again.frames[0]).toMatchObject({ function: 'step' });
  });

  function buildIdOf(path: string): string {
    const notes = execFileSync('readelf', ['-n', path], { encoding: 'utf8' });
    return /Build ID: ([0-9a-f]+)/.exec(notes)?.[1] ?? '';
  }
});

async function connection(): Promise<Awaited<ReturnType<typeof connectAgent>> & AsyncDisposable> {
  const client = await connectAgent(workplace.environment['STILLFRAME_AGENT'] ?? '');
  return Object.assign(client, {
    [Symbol.asyncDispose]: () => {
      client[Symbol.dispose]();
      return Promise.resolve();
    },
  });
}

test('files that are no cores, or lie about themselves: status 6, no crash, no hang', async () => {
  const path = join(workplace.folder, 'good.core');
  await workplace.json('export', good.id, '-o', path);
  const core = readFileSync(path);
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(core);
    change(bytes);
    return bytes;
  };
  const headers = Number(core.readBigUInt64LE(32));
  const rows: [name: string, bytes: Buffer, message: RegExp][] = [
    ['truncated', core.subarray(0, 100), /program headers reach past the end of its 100 bytes/],
    ['random', Buffer.alloc(65_536, 'random bytes'), /it does not begin with the ELF magic/],
    [
      'segments',
      changed((bytes) => bytes.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, headers + 32)),
      /size 0xffffffffffffffff is absurd/,
    ],
    [
      'count',
      changed((bytes) => bytes.writeUInt16LE(0xfffe, 56)),
      /65534 program headers reach past the end/,
    ],
    [
      'note',
      changed((bytes) => bytes.writeUInt32LE(0xffff_ffff, Number(core.readBigUInt64LE(headers + 8)))),
      /4294967295 bytes wanted/,
    ],
  ];
  for (const [name, bytes, message] of rows) {
    const file = join(workplace.folder, `${name}.core`);
    writeFileSync(file, bytes);
    const { status, error } = await fails('show', file);
    expect([status, error.code], name).toEqual([6, 'bad-data']);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(file);
  }
});

test('hostile plans, straight to the agent: refused, and it goes on', async () => {
  await using client = await connection();
  const order = await orderFor(client, {
    pid: service.pid,
    location: chargeLocation(),
    condition: 'order->total < 0',
  });
  const plan = decodePlan(order.plan);
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  const withCondition = (...condition: number[]): Uint8Array =>
    encodePlan({ ...plan, sites: [{ ...site, condition: new Uint8Array(condition), ranges: [] }] });
  const range = (path: string): (typeof site.ranges)[number] => ({
    path,
    address: new Uint8Array([0x30]),
    length: new Uint8Array([0x31]),
    maxBytes: 1,
    untilNul: false,
    secret: false,
    children: [],
  });
  const rows: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ['garbage', new Uint8Array(64).fill(0xa5), /plan/],
    ['nothing', new Uint8Array(), /plan/],
    ['underflow (DW_OP_plus)', withCondition(0x22), /stack/],
    ['backward jump (DW_OP_skip -3)', withCondition(0x31, 0x2f, 0xfd, 0xff), /back/],
    ['too many bytes', encodePlan({ ...plan, maxBytes: 1 << 30 }), /maxBytes 1073741824 is not within/],
    [
      'too many ranges',
      encodePlan({
        ...plan,
        sites: [{ ...site, ranges: Array.from({ length: 100_000 }, (_, i) => range(`${i}`)) }],
      }),
      /more than 1024 ranges/,
    ],
    ['a count that is a lie', lyingCount(), /plan/],
  ];
  for (const [name, bytes, message] of rows) {
    const refusal: unknown = await client
      .arm({ ...order, id: '1qkynvmj1gy8', plan: bytes })
      .then((view) => view.phase, (error: unknown) => error); // prettier-ignore
    expect(refusal, name).toMatchObject({
      code: 'bad-data',
      message: expect.stringMatching(message) as string,
    });
  }
  expect((await client.points()).filter(({ id }) => id === '1qkynvmj1gy8')).toEqual([]);
});

/** Says that it has 2^50 captures. */
function lyingCount(): Uint8Array {
  const out = new ByteWriter();
  out.u32(0x4c504653).uleb(1);
  for (let i = 0; i < 2; i++) out.uleb(0);
  out.uleb(0).uleb(4096).uleb(0).u8(0);
  out.uleb(1n << 50n);
  return out.finish();
}

test('without its capabilities, doctor and snap name what is missing', async (context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
  const dropped = ['--bounding-set', '-all', '--inh-caps', '-all'];
  const address = `unix:${join(workplace.folder, 'plain.sock')}`;
  const program = join(repositoryRoot, 'bin', 'stillframe.js');
  const args = [process.execPath, program, 'agent', '--listen', address];
  await workplace.startProgram(
    'setpriv',
    [...dropped, ...args, '--spool', join(workplace.folder, 'plain-spool')],
    { ready: /^stillframe agent ready/ },
  );
  const plain = await workplace.startProgram('setpriv', [...dropped, service.path, '--rate', '50'], {
    ready: /^ready/,
  });
  const agent = ['--agent', address];
  const [doctor] = (await workplace.json('doctor', ...agent)) as [
    { engines: { engine: string; supported: string; detail: string; remedy?: string }[] },
  ];
  const engines = new Map(doctor.engines.map((each) => [each.engine, each]));
  const remedy = 'the tracer needs CAP_BPF and CAP_PERFMON (or root)';
  expect(engines.get('uprobe')).toMatchObject({ supported: 'no', remedy });
  expect(engines.get('observe')).toMatchObject({ supported: 'no', remedy });
  expect(engines.get('mem')?.detail).toContain('others need CAP_SYS_PTRACE');

  const forced = await fails('snap', String(plain.pid), chargeLocation(), '--engine', 'uprobe', ...agent);
  expect(forced.status).toBe(5);
  expect(forced.error).toMatchObject({ code: 'denied', hint: remedy });
  const other = await fails('snap', pid, chargeLocation(), ...agent);
  expect(other).toEqual({
    status: 5,
    error: {
      code: 'denied',
      message: `cannot look into process ${pid} (order-service): cannot read the executable of process ${pid}: EACCES (run as the user of the process, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH)`,
    },
  });
});

test('after all that: the good snapshot is there, nothing is armed, nothing is left in the code', async () => {
  const [snapshot] = (await workplace.json('show', good.id)) as [SnapshotJson];
  expect(snapshot).toEqual(good);
  const stored = (await workplace.json('snapshots')) as { id: string }[];
  expect(stored.map(({ id }) => id)).toContain(good.id);
  const points = (await workplace.json('points')) as { state: string }[];
  expect(points.filter(({ state }) => state !== 'ended' && state !== 'failed')).toEqual([]);
  expect(breakpointsAt(service.pid, [BigInt(good.location.address)])).toBe(0);
  expect(service.process.exitCode).toBeNull();
});
