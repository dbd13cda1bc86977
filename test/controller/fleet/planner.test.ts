import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openElf } from '../../../format/elf/open.js';
import { decodePlan } from '../../../format/plan/encode.js';
import { Planner, type PlanRequest } from '../../../controller/fleet/planner.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import { buildTicker } from '../../support/ticker.js';
import { rejected } from '../../support/thrown.js';

let folder: string;
let planner: Planner;
let opened: number;
const path = buildTicker();

function buildIdOf(file: string): string {
  using source = openFileSource(file);
  return openElf(source).buildId ?? '';
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-planner-'));
  opened = 0;
  const symbols = new SymbolsHere((elf) => {
    opened += 1;
    return openSymbols(elf);
  });
  planner = new Planner(symbols);
});
afterEach(() => {
  planner[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function request(
  point: Partial<PlanRequest['point']> = {},
  module: Partial<PlanRequest['module']> = {},
): PlanRequest {
  return {
    point: { id: 'p1', location: 'pass', captures: [], bounds: {}, kind: 'snapshot', ...point },
    module: { path, buildId: buildIdOf(path), start: 0n, end: 0n, bias: 0n, deleted: false, ...module },
    pid: 1,
    isExecutable: true,
    local: false,
  };
}

test('one plan for each point and build, symbols once for a build', async () => {
  const [first, second] = await Promise.all([planner.plan(request()), planner.plan(request())]);
  expect(second).toBe(first);
  const other = await planner.plan(request({ id: 'p2', condition: 'tick->number > 5' }));
  expect(decodePlan(other).request).toMatchObject({ location: 'pass', condition: 'tick->number > 5' });
  expect(opened).toBe(1);
  planner.forget('p1');
  expect(await planner.plan(request())).not.toBe(first);
});

test('what counts collects nothing', async () => {
  const ranges = (plan: Uint8Array): number => decodePlan(plan).sites.flatMap((site) => site.ranges).length;
  expect(ranges(await planner.plan(request()))).toBeGreaterThan(0);
  expect(ranges(await planner.plan(request({ id: 'p2', kind: 'count' })))).toBe(0);
});

test('what is wrong with the point is said again without planning; other points are planned', async () => {
  const wrong = request({ condition: 'tock > 5' });
  const message = await rejected(planner.plan(wrong));
  expect(message).toMatch(/^bad-expression: .*tock/);
  expect(await rejected(planner.plan(wrong))).toBe(message);
  expect(opened).toBe(1);
  expect((await planner.plan(request({ id: 'p2' }))).length).toBeGreaterThan(0);
});

test('a file that is not here may be here later, and another file is never taken for it', async () => {
  const file = join(folder, 'ticker');
  const missing = request({}, { path: file });
  expect(await rejected(planner.plan(missing))).toMatch(/^not-found: cannot open /);
  copyFileSync('/bin/true', file);
  expect(await rejected(planner.plan(missing))).toMatch(/^mismatch: .* is not the file that runs/);
  copyFileSync(path, file);
  expect((await planner.plan(missing)).length).toBeGreaterThan(0);
});

test('nothing is planned when it is closed', async () => {
  planner[Symbol.dispose]();
  expect(await rejected(planner.plan(request()))).toBe('internal: the planner is closed');
});
