/** Watches of a program that writes as it is told: each write is a hit, whoever makes it, with what was there before and after; and nothing else is. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ArmedPoint, PointEnd } from '../../../../agent/engines/engine.js';
import { ProgramImages } from '../../../../agent/targets/program-image.js';
import { watchEngine } from '../../../../agent/engines/watch/engine.js';
import { planPoint } from '../../../../controller/planner/plan.js';
import type { Capture } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import { decodePlan, encodePlan } from '../../../../format/plan/encode.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { takenAddressRegisters } from '../../../support/address-registers.js';
import { compileFixture } from '../../../support/compile.js';
import { probeLine } from '../../../support/fixtures.js';
import { openSymbols } from '../../../support/open-symbols.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { symbolAddress } from '../uprobe/lab.js';

const path = compileFixture('probe-lab/writes.c', { cc: 'gcc', flags: ['-g', '-O0', '-pthread'] });
const symbols = openSymbols(path);
const engine = watchEngine();

let program: RunningProgram;
let captures: Capture[];
let ends: PointEnd[];
const armed: ArmedPoint[] = [];

beforeEach(async () => {
  program = startProgram(path);
  await program.nextLine();
  captures = [];
  ends = [];
});
afterEach(async () => {
  for (const point of armed.splice(0)) await point.disarm();
  await program[Symbol.asyncDispose]();
});

interface Asked {
  readonly condition?: string;
  readonly onlyChanges?: boolean;
  readonly captures?: readonly string[];
}

/** Through bytes and back, as an agent gets it. */
function planFor(
  expression: string,
  { condition, onlyChanges = false, captures: wanted = [] }: Asked = {},
): Plan {
  const { plan } = planPoint({
    symbols,
    modulePath: path,
    location: expression,
    captures: wanted,
    ...(condition === undefined ? {} : { condition }),
    watch: { onlyChanges },
  });
  const received = decodePlan(encodePlan(plan));
  verifyPlan(received);
  expect(received).toEqual(plan);
  return received;
}

async function arm(plan: Plan, maxHits = 1000): Promise<ArmedPoint> {
  const request = {
    pointId: 'watch',
    pid: program.pid,
    plan,
    countOnly: false,
    maxHits,
    minIntervalNs: 0n,
    forced: false,
  };
  const point = await engine.arm?.(request, {
    hit: (capture) => captures.push(capture),
    ended: (reason) => ends.push(reason),
  });
  if (point === undefined) throw new Error('it does not arm');
  armed.push(point);
  return point;
}

async function tell(command: string): Promise<void> {
  program.child.stdin.write(`${command}\n`);
  expect(await program.nextLine()).toBe('done');
}

const seen = (): readonly (readonly [bigint, bigint])[] =>
  captures.map(({ written }) => [written?.before ?? -1n, written?.after ?? -1n]);

test('it is there, and says what a write costs', async () => {
  expect(await engine.probe()).toMatchObject({
    supported: 'yes',
    detail: expect.stringMatching(/about [\d.]+ us each/) as string,
  });
});

describe('each write is a hit', () => {
  test('by the first thread and by threads that come later', async () => {
    await tell('up 5');
    const point = await arm(planFor('value'));
    await tell('up 3');
    await tell('thread 2');
    await tell('thread 1');
    await point.disarm();
    expect(seen()).toEqual([
      [5n, 6n],
      [6n, 7n],
      [7n, 8n],
      [8n, 9n],
      [9n, 10n],
      [10n, 11n],
    ]);
    expect(point.counters()).toMatchObject({
      hits: 6n,
      conditionFalse: 0n,
      faults: 0n,
      dropped: 0n,
      delivered: 6n,
    });
    const tids = captures.map(({ tid }) => tid);
    expect(new Set(tids).size).toBe(3);
    expect(tids.slice(0, 3)).toEqual([program.pid, program.pid, program.pid]);
    expect(takenAddressRegisters(program.pid)).toBe(0);
  });

  test('the program counter is behind the instruction that wrote, in its function', async () => {
    const point = await arm(planFor('value'));
    await tell('up 1');
    await point.disarm();
    const registers = captures[0]?.threads[0]?.registers ?? new Uint8Array(216);
    const base = (point.addresses[0] ?? 0n) - symbolAddress(path, 'value');
    const pc = readUserRegister(registers, 'rip') - base;
    const [level] = symbols.sourceStack(planAddress(pc - 1n));
    expect(level).toMatchObject({ function: 'up', line: probeLine('probe-lab', 'writes.c', 'up') });
  });

  test('of the same value, too; with onlyChanges those are none', async () => {
    const all = await arm(planFor('value'));
    await tell('same 4');
    await all.disarm();
    expect(seen()).toEqual(Array.from({ length: 4 }, () => [0n, 0n]));
    captures = [];
    const changes = await arm(planFor('value', { onlyChanges: true }));
    await tell('same 4');
    await tell('up 2');
    await changes.disarm();
    expect(seen()).toEqual([
      [0n, 1n],
      [1n, 2n],
    ]);
    expect(changes.counters()).toMatchObject({ hits: 6n, conditionFalse: 4n, delivered: 2n });
  });

  test('where the condition holds after it', async () => {
    const point = await arm(planFor('value', { condition: 'value % 10 == 0 && head->count == 0' }));
    await tell('up 25');
    await point.disarm();
    expect(seen()).toEqual([
      [9n, 10n],
      [19n, 20n],
    ]);
    expect(point.counters()).toMatchObject({ hits: 25n, conditionFalse: 23n });
  });

  test('of two bytes, of a byte in an array, of a member behind a pointer', async () => {
    const small = await arm(planFor('small'));
    await tell('small 2');
    await small.disarm();
    expect(seen()).toEqual([
      [0n, 0xffffn],
      [0xffffn, 0xfffen],
    ]);
    captures = [];
    const byte = await arm(planFor('bytes[5]'));
    await tell('fill 7');
    await byte.disarm();
    expect(seen()).toEqual([[0n, 7n]]);
    captures = [];
    const member = await arm(planFor('head->mode', { captures: ['head->id', 'value'] }));
    await tell('head 3');
    await member.disarm();
    expect(seen()).toEqual([
      [0n, 1n],
      [1n, 2n],
      [2n, 0n],
    ]);
    expect(captures[0]?.ranges.map(({ path: name }) => name)).toEqual(
      expect.arrayContaining(['*head', 'value']),
    );
    // The window may reach beyond the stack, which begins where the kernel likes.
    expect(captures[0]?.missing.filter(({ path: name }) => !name.startsWith('stack of'))).toEqual([]);
  });

  test('up to the hits that were asked', async () => {
    const point = await arm(planFor('value'), 2);
    await tell('up 10');
    await expect.poll(() => ends).toEqual([{ kind: 'hits', detail: '2 of 2 hits delivered' }]);
    expect(seen()).toEqual([
      [0n, 1n],
      [1n, 2n],
    ]);
    await point.disarm();
    expect(takenAddressRegisters(program.pid)).toBe(0);
  });
});

describe('no hit is', () => {
  test('a system call that fills the memory; what it left is known', async () => {
    const point = await arm(planFor('value'));
    await tell('kernel 77');
    await tell('up 1');
    await point.disarm();
    expect(seen()).toEqual([[77n, 78n]]);
    expect(point.counters()).toMatchObject({ hits: 1n });
  });

  test('a write of a process that was forked', async () => {
    const point = await arm(planFor('value'));
    await tell('fork 3');
    await tell('up 1');
    await point.disarm();
    expect(seen()).toEqual([[0n, 1n]]);
  });

  test('a write of the program that runs in its stead', async () => {
    const point = await arm(planFor('value'));
    program.child.stdin.write('exec 0\n');
    expect(await program.nextLine()).toBe('again');
    await tell('up 3');
    expect(point.look?.(new ProgramImages())).toMatchObject({ hits: 0n });
    await expect.poll(() => ends).toMatchObject([{ kind: 'target-gone' }]);
    expect(ends[0]?.detail).toMatch(
      /^the memory of value is there no more: process \d+ gave it back, runs another program/,
    );
    expect(captures).toEqual([]);
    expect(takenAddressRegisters(program.pid)).toBe(0);
  });
});

describe('refused is', () => {
  test('the fifth; not when one was removed', async () => {
    const plans = ['value', 'small', 'bytes[0]', 'bytes[8]'].map((expression) => planFor(expression));
    for (const plan of plans) await arm(plan);
    expect(takenAddressRegisters(program.pid)).toBe(4);
    await expect(arm(planFor('head->id'))).rejects.toMatchObject({
      code: 'limit',
      message: `cannot watch thread ${program.pid}: the processor has four registers for addresses, and all of them are taken`,
    });
    await armed.pop()?.disarm();
    await arm(planFor('head->id'));
    await tell('up 1');
    await expect.poll(seen).toEqual([[0n, 1n]]);
  });

  test('what lies across words', async () => {
    const plan = planFor('value');
    const { watch } = plan;
    if (watch === undefined) throw new Error('no watch');
    const across = { ...watch, address: Uint8Array.of(...watch.address, DW_OP.DW_OP_plus_uconst, 4) };
    await expect(arm({ ...plan, watch: across })).rejects.toThrow(
      /watches 8 bytes only at addresses that are a multiple of it/,
    );
    const nowhere = { ...watch, address: Uint8Array.of(DW_OP.DW_OP_lit16) };
    await expect(arm({ ...plan, watch: nowhere })).rejects.toThrow(/has no memory at 0x10$/);
    expect(takenAddressRegisters(program.pid)).toBe(0);
  });

  test.each([
    ['head->nothing', 'bad-expression', /nothing/],
    ['head->flags', 'unsupported', /it is a bit field/],
    ['bytes', 'unsupported', /of 16 bytes, and the processor watches 1, 2, 4 or 8$/],
    ['*head', 'unsupported', /of 24 bytes/],
    ['own', 'unsupported', /^cannot watch "own": /],
    ['argc', 'bad-expression', /argc/],
    ['*(long *)$rsp', 'unsupported', /it depends on registers$/],
  ])('%s', (expression, code, message) => {
    expect(() => planFor(expression)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });

  test('a plan of a watch that names registers, or places in code', () => {
    const plan = planFor('value');
    const { watch } = plan;
    if (watch === undefined) throw new Error('no watch');
    const breg7 = Uint8Array.of(DW_OP.DW_OP_breg7, 0);
    expect(() => verifyPlan({ ...plan, watch: { ...watch, address: breg7 } })).toThrow(
      /depends on registers/,
    );
    expect(() => verifyPlan({ ...plan, version: 1 })).toThrow(/version 1 with a watch/);
    const { watch: _, ...without } = plan;
    expect(() => verifyPlan(without)).toThrow(/version 3 without timing, a decision, a watch or a repeat/);
    expect(() =>
      verifyPlan({ ...plan, sites: plan.sites.map((site) => ({ ...site, linkAddress: 1n })) }),
    ).toThrow(/a watch with places in code/);
  });
});

const planAddress = (value: bigint): Parameters<typeof symbols.sourceStack>[0] =>
  value as Parameters<typeof symbols.sourceStack>[0];
