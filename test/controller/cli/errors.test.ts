import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../../support/cli.js';
import { buildTicker, startTicker } from '../../support/ticker.js';

/** Every error of the command line: its whole text, its document, its status. */
let workplace: Workplace;
beforeAll(() => {
  workplace = openWorkplace();
});
afterAll(async () => {
  await workplace[Symbol.asyncDispose]();
});

interface Row {
  readonly args: readonly string[];
  readonly status: number;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly candidates?: readonly string[];
  };
}

/** Told as a document on stdout with `--json`, and as text on stderr without. */
async function check({ args, status, error }: Row): Promise<void> {
  const [json, text] = await Promise.all([workplace.run(...args, '--json'), workplace.run(...args)]);
  expect({ ...json, stdout: JSON.parse(json.stdout) as unknown }).toMatchObject({
    status,
    stdout: { error },
  });
  expect(json.stdout.split('\n')).toHaveLength(2);
  const lines = [
    `error: ${error.message}`,
    ...(error.candidates ?? []).map((candidate) => `  ${candidate}`),
    ...(error.hint === undefined ? [] : [`hint: ${error.hint}`]),
  ];
  expect(text).toEqual({ status, stdout: '', stderr: `${lines.join('\n')}\n` });
}

describe('usage, status 2', () => {
  test.each<Row>([
    {
      args: ['snpa', '1', 'main'],
      status: 2,
      error: { code: 'usage', message: "unknown command 'snpa'", hint: 'Did you mean snap?' },
    },
    {
      args: ['snap', '1'],
      status: 2,
      error: {
        code: 'usage',
        message: "missing required argument 'location'",
        hint: 'stillframe --help lists the commands',
      },
    },
    {
      args: ['snap', '1', 'main', '--iff', 'x'],
      status: 2,
      error: { code: 'usage', message: "unknown option '--iff'", hint: 'Did you mean --if?' },
    },
    {
      args: ['snap', '1', 'main', '--engine', 'magic'],
      status: 2,
      error: {
        code: 'usage',
        message:
          "option '--engine <name>' argument 'magic' is invalid. Allowed choices are uprobe, observe, ptrace, fork, mem, watch.",
        hint: 'stillframe --help lists the commands',
      },
    },
    {
      args: ['snap', '1', 'main', '--hits', '0'],
      status: 2,
      error: { code: 'usage', message: '--hits: "0" is no number from 1' },
    },
    {
      args: ['snap', '1', 'main', '--wait', '5'],
      status: 2,
      error: {
        code: 'usage',
        message: '--wait: "5" is no duration',
        hint: 'a number and a unit: ms, s, m, h or d, for example 30s',
      },
    },
    {
      args: ['snap', '1', 'main', '--wait', '5s', '--detach'],
      status: 2,
      error: { code: 'usage', message: '--wait and --detach exclude each other' },
    },
    {
      args: ['targets', '--agent', 'somewhere'],
      status: 2,
      error: {
        code: 'usage',
        message: 'cannot parse address "somewhere"',
        hint: 'an address is unix:PATH or HOST:PORT',
      },
    },
  ])('$args', check);
});

test('nobody there, status 7', async () => {
  const address = workplace.environment['STILLFRAME_AGENT'] ?? '';
  const hint = 'start one with `stillframe agent --listen ADDRESS`, or leave out --agent to have one started';
  const message = `cannot reach the agent at ${address}: there is no such socket`;
  await check({ args: ['doctor'], status: 7, error: { code: 'unreachable', message, hint } });
  await check({
    args: ['doctor', '--agent', '127.0.0.1:1'],
    status: 7,
    error: {
      code: 'unreachable',
      message: 'cannot reach the agent at 127.0.0.1:1: nobody listens there',
      hint,
    },
  });
});

test('a store of a newer version is left alone, status 6', async () => {
  const place = openWorkplace();
  await place.run('snapshots');
  const { default: Sqlite } = await import('better-sqlite3');
  const path = join(place.folder, 'data', 'stillframe', 'index.db');
  const database = new Sqlite(path);
  const known = String(database.pragma('user_version', { simple: true }));
  database.pragma('user_version = 99');
  database.close();
  const result = await place.run('snapshots');
  expect(result).toEqual({
    status: 6,
    stdout: '',
    stderr:
      `error: cannot open the store "${path}": it has schema 99, this program knows ${known}\n` +
      'hint: it was written by a newer Stillframe: use that one, or another XDG_DATA_HOME\n',
  });
  await place[Symbol.asyncDispose]();
});

describe('with an agent', () => {
  let ticker: StartedProgram;
  let pid: string;
  beforeAll(async () => {
    ticker = await startTicker(workplace);
    pid = String(ticker.pid);
    await workplace.startAgent();
  });

  test('not found, status 3', async () => {
    const targets = '`stillframe targets` lists the processes that can be looked into';
    const rows: Row[] = [
      {
        args: ['snap', '99999999', 'main'],
        status: 3,
        error: { code: 'not-found', message: 'there is no process 99999999', hint: targets },
      },
      {
        args: ['snap', 'name:no-such-service', 'main'],
        status: 3,
        error: { code: 'not-found', message: 'no process fits "name:no-such-service"', hint: targets },
      },
      {
        args: ['snap', pid, 'no_such.so!main'],
        status: 3,
        error: {
          code: 'not-found',
          message: `process ${pid} maps no module "no_such.so"`,
          hint: 'a library that it loads later is named by the path of its file: /path/to/lib.so!function',
        },
      },
      {
        args: ['show', 'zz'],
        status: 3,
        error: { code: 'not-found', message: 'no snapshot "zz"', hint: '`stillframe snapshots` lists them' },
      },
      {
        args: ['eval', 'last', 'x'],
        status: 3,
        error: {
          code: 'not-found',
          message: 'there is no snapshot yet',
          hint: '`stillframe snapshots` lists them',
        },
      },
      {
        args: ['show', './no/such/core'],
        status: 3,
        error: { code: 'not-found', message: 'cannot open "./no/such/core": ENOENT' },
      },
      {
        args: ['rm', 'zz'],
        status: 3,
        error: { code: 'not-found', message: 'no point "zz"', hint: '`stillframe points` lists them' },
      },
      {
        args: ['points', 'zz'],
        status: 3,
        error: { code: 'not-found', message: 'no point "zz"', hint: '`stillframe points` lists them' },
      },
    ];
    for (const row of rows) {
      const result = await workplace.run(...row.args, '--json');
      expect(result.status, `${row.args.join(' ')}: ${result.stderr}`).toBe(row.status);
      expect(JSON.parse(result.stdout)).toMatchObject({ error: row.error });
    }
  });

  test('bad input, status 6; nothing stays armed', async () => {
    const file = join(workplace.folder, 'no-core');
    writeFileSync(file, 'hello, world');
    const rows = [
      {
        args: ['snap', pid, 'pass', '--if', 'tick->numbr == 1'],
        code: 'bad-expression',
        text: 'cannot understand "tick->numbr == 1" at character 7: "struct tick" has no member "numbr"',
      },
      {
        args: ['snap', pid, 'pass', '--if', 'tick->number +'],
        code: 'bad-expression',
        text: 'cannot understand "tick->number +" at character 15: expected a value, found the end',
      },
      {
        args: ['snap', pid, 'pass', '--if', '1', '--capture', 'nothing'],
        code: 'bad-expression',
        text: 'cannot understand "nothing" at character 1: no variable "nothing" in scope',
      },
      {
        args: ['snap', pid, 'pass', '--if', '*tick'],
        code: 'bad-expression',
        text: 'cannot understand "*tick" at character 1: a condition must be a number or a pointer, not "struct tick"',
      },
      {
        args: ['show', file],
        code: 'bad-data',
        text: `cannot parse ELF file "${file}": a file of 12 bytes is too short for an ELF header`,
      },
    ];
    for (const { args, code, text } of rows) {
      const result = await workplace.run(...args, '--json');
      expect(result.status, args.join(' ')).toBe(6);
      const { error } = JSON.parse(result.stdout) as { error: { message: string } };
      expect(error).toMatchObject({ code });
      expect(error.message).toContain(text);
    }
    expect(await workplace.json('points')).toEqual([]);
  });

  test('the wait ran out, status 4, with the reason', async () => {
    const result = await workplace.run(
      'snap',
      pid,
      'pass',
      '--if',
      'tick->number == -1',
      '--wait',
      '2s',
      '--json',
    );
    expect(result.status).toBe(4);
    const { error } = JSON.parse(result.stdout) as { error: { message: string } };
    expect(error).toMatchObject({
      code: 'expired',
      hint: 'wait longer with --wait, or leave it armed with --detach',
    });
    const message =
      /^point (\w{12}) did not fire within 2 s: armed at 1 address in process (\d+) by uprobe: (\d+ hits, condition false \d+ times|0 hits, no thread has passed there yet)$/;
    const [, id, process] = message.exec(error.message) ?? [];
    expect(process, error.message).toBe(pid);
    expect(await workplace.json('points', id ?? '')).toMatchObject([{ id, state: 'ended' }]);
  });

  test('a file that is not the one that runs, status 6, naming both build ids', async () => {
    const [ours, other] = [buildTicker(), '/bin/true'].map(buildIdOf);
    const result = await workplace.run('snap', pid, 'pass', '--exe', '/bin/true', '--json');
    expect(result.status).toBe(6);
    expect(JSON.parse(result.stdout)).toMatchObject({
      error: {
        code: 'mismatch',
        message: `"/bin/true" is not the file that runs: it has build id ${other}, the process maps build id ${ours}`,
      },
    });
  });

  test('an expression that fails costs the others nothing, and gives its status', async () => {
    const [snapshot] = (await workplace.json('snap', pid, 'pass')) as [{ id: string }];
    const result = await workplace.run('eval', snapshot.id, 'tick->label->weight', 'nothing', '--json');
    expect(result.status).toBe(6);
    const [first, second] = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(first).toMatchObject({ expression: 'tick->label->weight', kind: 'int', value: '7' });
    expect(second).toMatchObject({ error: { code: 'bad-expression' } });
    const hex = await workplace.run('eval', 'last', 'tick->label->weight', '--format', 'x');
    expect(hex.stdout).toBe('tick->label->weight int = 0x7\n');
  });
});

describe('help', () => {
  test.each(['', 'agent', 'snap', 'eval'])('of "%s" has examples', async (command) => {
    const result = await workplace.run(...(command === '' ? [] : [command]), '--help');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout).toMatch(/\nExamples:\n {2}stillframe/);
  });

  test('completion for the shells that there are', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const result = await workplace.run('complete', shell);
      expect(result.status).toBe(0);
      expect(result.stdout).toContain('stillframe');
    }
    const commands = await workplace.run('complete', '--', 'sna');
    expect(commands.stdout).toMatch(/^snap\t.*\nsnapshots\t/m);
  });
});

function buildIdOf(path: string): string | undefined {
  return /Build ID: ([0-9a-f]+)/.exec(execFileSync('readelf', ['-n', path], { encoding: 'utf8' }))?.[1];
}
