/**
 * Points that were moved to instructions that cost less, beside the ones that were asked for, in one run of a program: as many hits, and the same values
 * of all variables.
 */
import { describe, expect, test } from 'vitest';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import { renderExplanation } from '../../../../controller/cli/render-explain.js';
import { checkExpression } from '../../../../controller/expression/check.js';
import { isUnlowered, lowerValue } from '../../../../controller/expression/lower.js';
import { resolveLocation } from '../../../../controller/planner/location.js';
import { instructionAt } from '../../../../controller/planner/boundary.js';
import { planPoint } from '../../../../controller/planner/plan.js';
import { placeSites } from '../../../../controller/planner/place-site.js';
import { openSite, type Site } from '../../../../controller/planner/site.js';
import type { ModuleSymbols } from '../../../../controller/symbols/module-symbols.js';
import { hex } from '../../../../format/address.js';
import { StillframeError } from '../../../../format/error.js';
import type { Plan, PlanSite } from '../../../../format/plan/plan.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import { compileFixture } from '../../../support/compile.js';
import { expression, sleb } from '../../../support/dwarf-expression.js';
import { openSymbols } from '../../../support/open-symbols.js';
import { startProgram } from '../../../support/running-program.js';

interface Pair {
  /** What was asked for. */
  readonly text: string;
  readonly asked: Site;
  readonly better: Site;
  /** Of each variable that the kernel can read at either: its value at both. */
  readonly values: readonly {
    readonly name: string;
    readonly asked: Uint8Array;
    readonly better: Uint8Array;
  }[];
}

function valueAt(site: Site, name: string): Uint8Array | undefined {
  try {
    const code = lowerValue(checkExpression(name, site.names), site);
    return isUnlowered(code) ? undefined : code;
  } catch (error) {
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
}

function pairsOf(symbols: ModuleSymbols): Pair[] {
  const [file = ''] = symbols.sourceFiles().filter((name) => name.endsWith('/returns.c'));
  const lines = symbols
    .linesWithCode(file)
    .map((line) => ({ kind: 'line' as const, text: `${file}:${line}` }));
  const functions = ['early', 'tree', 'leave', 'pair', 'triple', 'sleeper', 'half', 'spin', 'one_round'];
  const locations = [...functions.map((text) => ({ kind: 'function' as const, text })), ...lines];
  const pairs = new Map<bigint, Pair>();
  for (const { kind, text } of locations) {
    const sites = resolveLocation(symbols, text);
    const strict = placeSites(sites, { symbols, kind, texts: [], cheap: false });
    for (const [i, { asked, better }] of placeSites(sites, {
      symbols,
      kind,
      texts: [],
      cheap: true,
    }).entries()) {
      const same = better?.pastLoads === true ? undefined : better;
      expect(strict[i]?.better, text).toEqual(same);
      expect(strict[i]?.asked.cheaper, text).toBe(better?.pastLoads === true ? better.address : undefined);
      if (better === undefined) continue;
      expect(instructionAt(symbols, better.address)?.probe).toBe('emulated');
      const [from, to] = [openSite(symbols, asked), openSite(symbols, better)];
      const names = new Set(
        from.stack.flatMap(({ scope }) => scope?.variables.map(({ name }) => name) ?? []),
      );
      const values = [...names].flatMap((name) => {
        const [before, after] = [valueAt(from, name), valueAt(to, name)];
        // Of a function as such more may be known before its prologue than behind it, never less.
        if (before !== undefined)
          expect({ text, name, known: after !== undefined }).toEqual({ text, name, known: true });
        return before === undefined || after === undefined ? [] : [{ name, asked: before, better: after }];
      });
      pairs.set(from.address, { text, asked: from, better: to, values });
    }
  }
  return [...pairs.values()];
}

/** That loads are crossed only where that was asked for, and that `explain` says so. */
function expectExplained(
  symbols: ModuleSymbols,
  location: string,
  { asked, better }: { readonly asked: string; readonly better: string },
): void {
  const plan = { symbols, modulePath: '/program', location };
  const strict = planPoint(plan).explanation;
  expect(strict.sites.find(({ address }) => address === asked)).toMatchObject({ cheaper: better });
  expect(renderExplanation(strict)).toContain(`--cheap: a microsecond at ${better}`);
  const cheap = planPoint({ ...plan, cheap: true }).explanation;
  expect(cheap.sites.find(({ address }) => address === better)).toMatchObject({
    movedFrom: asked,
    pastLoads: true,
  });
  expect(renderExplanation(cheap)).toContain('a pass that faults at one of them is not a hit');
}

/** Sums the n-th variable of each pair by place. */
function planOf(symbols: ModuleSymbols, path: string, pairs: readonly Pair[], n: number): Plan {
  const sites = new Map<bigint, PlanSite>();
  for (const { asked, better, values } of pairs) {
    for (const [site, value] of [
      [asked, values[n]?.asked],
      [better, values[n]?.better],
    ] as const) {
      sites.set(site.address, {
        linkAddress: site.address,
        fileOffset: symbols.elf.fileOffsetOf(site.address) ?? 0,
        function: site.function,
        inlined: false,
        ranges: [],
        aggregate: {
          value: value ?? expression(DW_OP.DW_OP_lit0),
          group: expression(DW_OP.DW_OP_bregx, Uint8Array.of(16), sleb(0)),
        },
      });
    }
  }
  return {
    version: 2,
    module: { buildId: symbols.buildId, path },
    sites: [...sites.values()],
    stackBytes: 0,
    maxBytes: 1,
    request: { location: 'pairs', captures: [] },
    aggregate: { kind: 'sum', signed: true, group: { kind: 'number' }, maxGroups: 1000 },
  };
}

/** Runs with one variable of each place; further variables of places with more are left out. */
const runs = 2;

describe.each(['gcc', 'clang'] as const)('%s -O2', { timeout: 240_000 }, (cc) => {
  test('a moved point has the hits and the values of the one that was asked for', async () => {
    const flags = ['-g', '-O2', '-pthread', '-no-pie', '-Wl,--build-id=sha1'];
    const path = compileFixture('probe-lab/returns.c', { cc, flags });
    const symbols = openSymbols(path);
    const pairs = pairsOf(symbols);
    expect(pairs.length).toBeGreaterThan(8);
    // gcc has no such place in this program.
    expect(pairs.some(({ better }) => better.pastLoads)).toBe(cc === 'clang');
    for (const { text, asked, better } of pairs.filter((pair) => pair.better.pastLoads)) {
      expectExplained(symbols, text, { asked: hex(asked.address), better: hex(better.address) });
    }
    await using program = startProgram(path, ['1']);
    await program.nextLine();
    let compared = 0;
    for (let n = 0; n < runs; n++) {
      const here = pairs.filter(({ values }) => n === 0 || values.length > n);
      if (here.length === 0) break;
      const request = { pointId: 'p', pid: program.pid, maxHits: 1, minIntervalNs: 0n, countOnly: true };
      const plan = planOf(symbols, path, here, n);
      const point = await uprobeEngine().arm?.(
        { ...request, plan, forced: false },
        { hit: () => undefined, ended: () => undefined },
      );
      if (point === undefined) throw new Error('the engine has no points');
      program.child.stdin.write('10\n');
      await program.nextLine();
      await point.disarm();
      const groups = point.counters().aggregate?.groups ?? [];
      const at = (address: bigint): string => {
        const group = groups.find(({ key }) => 'number' in key && key.number === address);
        return group === undefined ? 'no hits' : `${group.count} hits, ${group.sum}`;
      };
      for (const { asked, better, values } of here) {
        const what = `${asked.function} at 0x${asked.address.toString(16)}: ${values[n]?.name ?? 'hits'}`;
        expect({ what, found: at(better.address) }).toEqual({ what, found: at(asked.address) });
        if (at(asked.address) !== 'no hits') compared++;
      }
    }
    expect(compared).toBeGreaterThan(15);
  });
});
