/** `FUNCTION:return`, `$return` and `$duration` on the command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { compileFixture } from '../support/compile.js';
import { compileNative, go, rustc } from '../support/compile-native.js';
import type { SnapshotJson, ValueJson } from '../support/documents.js';
import { repositoryRoot } from '../support/paths.js';

let workplace: Workplace;
beforeAll(async () => {
  workplace = openWorkplace();
  await workplace.startAgent({ args: [] });
});
afterAll(() => workplace[Symbol.asyncDispose]());

type Captures = Readonly<Record<string, ValueJson>>;

async function snap(...args: string[]): Promise<Captures> {
  const [snapshot] = (await workplace.json('snap', ...args, '--wait', '110s')) as SnapshotJson[];
  return Object.fromEntries((snapshot?.captures ?? []).map((each) => [each.expression, each]));
}

const fieldsOf = (value: ValueJson | undefined): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries((value?.fields ?? []).map((each) => [each.name, each.value]));

describe('C', { timeout: 120_000 }, () => {
  let pid = '';
  beforeAll(async () => {
    const flags = ['-g', '-O2', '-pthread', '-Wl,--build-id=sha1'];
    const path = compileFixture('probe-lab/returns.c', { cc: 'gcc', flags });
    const started = await workplace.startProgram(path, ['1'], { stdin: true });
    // More than it will ever come to.
    started.process.stdin?.write('100000000\n');
    pid = `${started.pid}`;
  });

  test('a struct in two registers, decided on by one of them, and the time', async () => {
    const condition = '$return.second < -20 && $duration > 0';
    const captures = await snap(pid, 'pair:return', '--if', condition, '--capture', '$duration');
    const { first, second } = fieldsOf(captures['$return']);
    expect(Number(second)).toBe(-2 * Number(first));
    expect(Number(second)).toBeLessThan(-20);
    expect(Number(captures['$duration']?.value)).toBeGreaterThan(0);
  });

  test('a struct in memory', async () => {
    const { first, second, third } = fieldsOf((await snap(pid, 'triple:return'))['$return']);
    expect([Number(second), Number(third)]).toEqual([Number(first) + 1, Number(first) + 2]);
  });

  test('a return among tail calls, which have no value', async () => {
    const captures = await snap(pid, 'leave:return', '--if', '$return == 7');
    expect(captures['$return']?.value).toBe('7');
    const [explained] = (await workplace.json('explain', pid, 'leave:return', '--if', '$return == 7')) as {
      readonly dropped: readonly { readonly reason: string }[];
    }[];
    expect(explained?.dropped.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('the function leaves by a jump to early, which returns the value'),
    ]);
  });

  test('floating numbers are in registers that only a stop shows', async () => {
    expect((await snap(pid, 'half:return'))['$return']?.absent?.reason).toBe('not-captured');
    const { $return: stopped } = await snap(pid, 'half:return', '--engine', 'ptrace');
    expect(stopped?.type).toBe('double');
    expect(Number(stopped?.value) * 2).toBeGreaterThanOrEqual(1);
  });

  test('times are distributed', async () => {
    const documents = (await workplace.json(
      'metric',
      pid,
      'early:return',
      '--histogram',
      '$duration',
      '--for',
      '1s',
    )) as { readonly final?: boolean; readonly hits: number }[];
    expect(documents.at(-1)?.final).toBe(true);
    expect(documents.at(-1)?.hits).toBeGreaterThan(0);
  });

  test.each<[string, string[], number, string]>([
    ['early', ['--capture', '$duration'], 6, '$duration is not known: it is known only at FUNCTION:return'],
    ['spin:return', ['--if', '$return'], 6, '$return is not known: "spin" returns nothing'],
    ['check:return', [], 6, 'inlined into "work": it ends without an instruction of its own'],
    [
      'early:return',
      ['--capture', '$duration', '--engine', 'ptrace'],
      6,
      'how long a function took is known only in the kernel',
    ],
  ])('refused: %s %j', async (location, args, status, message) => {
    const result = await workplace.run('snap', pid, location, ...args, '--wait', '5s');
    expect({ status: result.status, text: `${result.stdout}${result.stderr}` }).toEqual({
      status,
      text: expect.stringContaining(message) as string,
    });
  });
});

const rust = `
use std::hint::black_box;
pub struct Large { pub a: u64, pub b: u64, pub c: u64 }
#[inline(never)] pub fn number(n: u64) -> u64 { black_box(n) * 3 }
#[inline(never)] pub fn text(n: u64) -> &'static str { if black_box(n) % 2 == 0 { "even" } else { "odd" } }
#[inline(never)] pub fn maybe(n: &u64) -> Option<&u64> { if *black_box(n) % 2 == 0 { Some(n) } else { None } }
#[inline(never)] pub fn both(n: u64) -> (u64, u64) { (black_box(n), n + 7) }
#[inline(never)] pub fn large(n: u64) -> Large { Large { a: black_box(n), b: n + 1, c: n + 2 } }
#[inline(never)] pub fn small(n: u32) -> Option<u32> { if black_box(n) % 2 == 0 { Some(n) } else { None } }
fn main() {
    println!("started");
    for n in 0u64.. {
        let l = large(n);
        black_box((number(n), text(n), maybe(&n), both(n), l.a + l.b + l.c, small(n as u32)));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
`;

describe('Rust', { timeout: 120_000 }, () => {
  test('what is returned in one way only is shown', async () => {
    const path = compileNative(rust, 'returns', rustc('-Copt-level=2'));
    const { pid } = await workplace.startProgram(path, [], { ready: /started/ });
    const at = async (name: string, ...more: string[]): Promise<ValueJson | undefined> =>
      (await snap(`${pid}`, `returns::${name}:return`, ...more))['$return'];
    expect(Number((await at('number', '--if', '$return > 8'))?.value) % 3).toBe(0);
    expect((await at('maybe'))?.absent).toBeUndefined();
    const { __0, __1 } = fieldsOf(await at('both', '--if', '$return.__1 > 10'));
    expect(Number(__1)).toBe(Number(__0) + 7);
    const { a, c } = fieldsOf(await at('large'));
    expect(Number(c)).toBe(Number(a) + 2);
    expect((await at('small'))?.absent?.reason).toBe('unsupported');
  });
});

test('Go: several results, and what they lead to', async () => {
  const source = readFileSync(join(repositoryRoot, 'native-fixtures/probe-lab/returns.go'), 'utf8');
  const started = await workplace.startProgram(compileNative(source, 'returns', go()), [], { stdin: true });
  started.process.stdin?.write('100000000\n');
  const found = (await snap(`${started.pid}`, 'main.lookup:return', '--if', '$return.r1 == nil'))['$return'];
  const [order, error] = found?.fields ?? [];
  const id = order?.target?.fields?.find(({ name }) => name === 'id')?.value;
  expect(order?.target?.fields?.find(({ name }) => name === 'name')?.text).toBe(`order ${id}`);
  expect(error?.absent).toBeUndefined();
});
