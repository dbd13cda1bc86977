/**
 * Returns of real functions: what they return and how long they took, added up in the kernel, against what the program says of itself. It checks its own
 * arithmetic meanwhile, and ends where that is wrong.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import type { ArmedPoint, PointCounters } from '../../../../agent/engines/engine.js';
import { planPoint } from '../../../../controller/planner/plan.js';
import type { ModuleSymbols } from '../../../../controller/symbols/module-symbols.js';
import { compileFixture } from '../../../support/compile.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { openSymbols } from '../../../support/open-symbols.js';
import { repositoryRoot } from '../../../support/paths.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';

/** What a program says of each of its functions: calls, sum of what was returned, nanoseconds inside and around. */
type Told = Readonly<Record<string, readonly [number, number, number, number]>>;

async function run(program: RunningProgram, rounds: number): Promise<Told> {
  program.child.stdin.write(`${rounds}\n`);
  return JSON.parse(await program.nextLine()) as Told;
}

interface Sum {
  readonly count: number;
  readonly sum: number;
  readonly counters: PointCounters;
}

/** Adds expressions up at returns while `meanwhile` runs. */
async function sums<T>(
  program: { readonly pid: number; readonly path: string; readonly symbols: ModuleSymbols },
  points: readonly { readonly location: string; readonly value: string }[],
  meanwhile: () => Promise<T>,
): Promise<{ readonly told: T; readonly sums: readonly Sum[] }> {
  const engine = uprobeEngine();
  const armed: ArmedPoint[] = [];
  try {
    for (const { location, value } of points) {
      const { plan } = planPoint({
        symbols: program.symbols,
        modulePath: program.path,
        location,
        metric: { kind: 'sum', value },
      });
      const request = {
        pointId: 'p',
        pid: program.pid,
        plan,
        maxHits: 1,
        minIntervalNs: 0n,
        countOnly: true,
      };
      const sink = { hit: () => undefined, ended: () => undefined };
      const point = await engine.arm?.({ ...request, forced: false }, sink);
      if (point !== undefined) armed.push(point);
    }
    const told = await meanwhile();
    return {
      told,
      sums: armed.map((point) => {
        const counters = point.counters();
        const { rest } = counters.aggregate ?? { rest: { count: 0n, sum: 0n } };
        return { count: Number(rest.count), sum: Number(rest.sum), counters };
      }),
    };
  } finally {
    for (const point of armed) await point.disarm();
  }
}

/** What was added up at each point, and what the program says of the same calls; each call was seen once, and its value read. */
function countedOnce(
  found: readonly Sum[],
  about: {
    readonly points: readonly { readonly location: string; readonly value: string }[];
    readonly before: Told;
    readonly told: Told;
  },
) {
  return found.map(({ count, sum, counters }, i) => {
    const { location = '', value = '' } = about.points[i] ?? {};
    const name = location.slice(0, -':return'.length);
    const [calls = 0, values = 0, inside = 0, outside = 0] = (about.told[name] ?? []).map(
      (after, k) => after - (about.before[name]?.[k] ?? 0),
    );
    const what = `${location} ${value}`;
    expect({ what, count, unreadable: counters.aggregate?.unreadable }).toEqual({
      what,
      count: calls,
      unreadable: 0n,
    });
    return { what, name, value, sum, values, inside, outside };
  });
}

const compilers = (['gcc', 'clang'] as const).flatMap((cc) =>
  ['-O0', '-O2'].map((optimization) => ({ cc, optimization })),
);

describe.each(compilers)('$cc $optimization', { timeout: 240_000 }, ({ cc, optimization }) => {
  const path = compileFixture('probe-lab/returns.c', {
    cc,
    flags: ['-g', optimization, '-pthread', '-Wl,--build-id=sha1'],
  });
  const symbols = openSymbols(path);

  test('every return is seen once, with its value and its time', async () => {
    await using program = startProgram(path, ['3']);
    await program.nextLine();
    const before = await run(program, 1);
    const points = [
      { location: 'early:return', value: '$return' },
      { location: 'tree:return', value: '$return' },
      { location: 'pair:return', value: '$return.second' },
      { location: 'triple:return', value: '$return.third' },
      { location: 'sleeper:return', value: '$return' },
      ...['early', 'tree', 'leave', 'pair', 'triple', 'sleeper', 'half'].map((name) => ({
        location: `${name}:return`,
        value: '$duration',
      })),
    ];
    const { told, sums: found } = await sums({ pid: program.pid, path, symbols }, points, () =>
      run(program, 100),
    );
    for (const { what, name, value, sum, values, inside, outside } of countedOnce(found, {
      points,
      before,
      told,
    })) {
      if (value !== '$duration') expect({ what, sum }).toEqual({ what, sum: values });
      else {
        // Of recursion each call but the first is within another.
        const most = name === 'tree' ? inside + outside : name === 'early' ? Infinity : outside;
        expect({ what, least: sum >= inside, most: sum <= most }).toEqual({ what, least: true, most: true });
        expect(sum).toBeGreaterThan(0);
      }
    }
    const after = await run(program, 1);
    expect(Object.keys(after)).toEqual(Object.keys(before));
  });

  test('a call that was entered before is counted without a time', async () => {
    await using program = startProgram(path, ['1']);
    await program.nextLine();
    await run(program, 1);
    const points = [
      { location: 'ask:return', value: '$duration' },
      { location: 'ask:return', value: '$return' },
    ];
    const { sums: found } = await sums({ pid: program.pid, path, symbols }, points, async () => {
      await run(program, 1);
      await run(program, 2);
    });
    const [times, values] = found;
    expect({ count: times?.count, unreadable: times?.counters.aggregate?.unreadable }).toEqual({
      count: 1,
      unreadable: 1n,
    });
    expect({ count: values?.count, sum: values?.sum }).toEqual({ count: 2, sum: 3 });
  });
});

describe('Go', { timeout: 240_000 }, () => {
  const source = readFileSync(join(repositoryRoot, 'native-fixtures/probe-lab/returns.go'), 'utf8');

  test('results of goroutines whose stacks move are true, and so are times', async () => {
    const path = compileNative(source, 'returns', go());
    await using program = startProgram(path);
    await program.nextLine();
    const before = await run(program, 1);
    const points = [
      { location: 'main.deep:return', value: '$return' },
      { location: 'main.factor:return', value: '$return.large' },
      { location: 'main.label:return', value: 'len($return)' },
      { location: 'main.lookup:return', value: '$return.r0 == 0' },
      ...['deep', 'factor', 'label', 'lookup'].map((name) => ({
        location: `main.${name}:return`,
        value: '$duration',
      })),
    ];
    const symbols = openSymbols(path);
    const { told, sums: found } = await sums({ pid: program.pid, path, symbols }, points, () =>
      run(program, 20),
    );
    for (const { what, name, value, sum, values, inside, outside } of countedOnce(found, {
      points,
      before,
      told,
    })) {
      if (value === '$return.r0 == 0') expect(sum).toBe(8 * 6);
      else if (value !== '$duration') expect({ what, sum }).toEqual({ what, sum: values });
      else if (name === 'main.deep') {
        // Its stack moves at the entry of some calls, which then begin anew.
        expect({ what, least: sum >= inside, most: sum <= inside + outside }).toEqual({
          what,
          least: true,
          most: true,
        });
      } else expect({ what, most: sum > 0 && sum <= outside }).toEqual({ what, most: true });
    }
  });
});
