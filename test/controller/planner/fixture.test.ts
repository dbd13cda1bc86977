import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import type { CapturedRange } from '../../../format/capture.js';
import { openCore } from '../../../format/core/read.js';
import { defaultLimits } from '../../../format/limits.js';
import type { MemoryReader } from '../../../format/memory.js';
import { encodePlan } from '../../../format/plan/encode.js';
import type { Plan, PlanSite } from '../../../format/plan/plan.js';
import { rangeBytes, runPlanSite } from '../../../format/plan/run.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { planPoint } from '../../../controller/planner/plan.js';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { renderVariable } from '../../../controller/types/render.js';
import { buildFixture, type FixtureOptions, probeLine } from '../../support/fixtures.js';
import { differences, gdbValues } from '../../support/gdb-values.js';
import { memoryOf, u64 } from '../../support/literal-memory.js';
import { fileBytes, openSymbols } from '../../support/open-symbols.js';

/** The planner on programs that compilers made, against what binutils and gdb say of the same files and the same core. */
const variants: readonly FixtureOptions[] = [
  { cc: 'gcc', opt: 'O0', dwarf: 5, pie: false },
  { cc: 'gcc', opt: 'O2', dwarf: 5, pie: false },
  { cc: 'gcc', opt: 'O2', dwarf: 4, pie: true },
  { cc: 'clang', opt: 'O0', dwarf: 5, pie: false },
  { cc: 'clang', opt: 'O2', dwarf: 5, pie: false },
  { cc: 'clang', opt: 'O2', dwarf: 4, pie: true },
];
const condition = 'order->customer->tier == GOLD && order->total > 10000';

function output(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
}

// gdb writes a core in under a second, and in half a minute where many others want the machine.
describe.each(variants)('$cc -$opt, DWARF $dwarf, pie $pie', { timeout: 240_000 }, (variant) => {
  const program = buildFixture('order-service', variant);
  const symbols: ModuleSymbols = openSymbols(program);
  const plan = (location: string, more: object = {}): Plan =>
    planPoint({ symbols, modulePath: program, location, ...more }).plan;

  test('every line with code is probed at instructions that begin a statement of it', () => {
    const instructions = new Set(
      [...output('objdump', '-d', '-j', '.text', program).matchAll(/^ +([0-9a-f]+):\t/gm)].map(
        ([, at]) => at,
      ),
    );
    const statements = new Set(
      [
        ...output('objdump', '--dwarf=decodedline', program).matchAll(
          /^(\S+\.c) +(\d+) +0x([0-9a-f]+) .*\bx\b/gm,
        ),
      ].map(([, file, line, at]) => `${file}:${line} ${at}`),
    );
    let sites = 0;
    for (const name of ['orders.c', 'pricing.c', 'main.c']) {
      const file = symbols.sourceFiles().find((each) => each.endsWith(`/order-service/${name}`)) ?? '';
      for (const line of symbols.linesWithCode(file)) {
        const point = planPoint({ symbols, modulePath: program, location: `${name}:${line}`, locals: false });
        verifyPlan(point.plan);
        for (const site of point.plan.sites) {
          const at = site.linkAddress.toString(16);
          const explained = point.explanation.sites.find((each) => each.address === `0x${at}`);
          expect(instructions.has(at), `${name}:${line} at ${at} is an instruction`).toBe(true);
          if (explained?.afterPrologue === false) {
            const asked = explained.movedFrom?.slice(2) ?? at;
            expect(
              statements.has(`${name}:${line} ${asked}`),
              `${name}:${line} at ${asked} is a statement`,
            ).toBe(true);
          }
          sites++;
        }
      }
    }
    expect(sites).toBeGreaterThan(100);
  });

  test('the same plan, byte for byte, each time', () => {
    const options = { condition, captures: ['order->items[0].sku', 'customers[2].name'] };
    const line = `orders.c:${probeLine('order-service', 'orders.c', 'charge') + 1}`;
    const again = planPoint({
      symbols: openSymbols(program),
      modulePath: program,
      location: line,
      ...options,
    });
    expect(encodePlan(again.plan)).toEqual(encodePlan(plan(line, options)));
  });

  // gdb needs no running process to set breakpoints at link addresses of these.
  if (variant.pie === true) return;
  test('what a plan collects at a hit is what gdb prints there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stillframe-plan-'));
    try {
      const line = `orders.c:${probeLine('order-service', 'orders.c', 'charge') + 1}`;
      const captures = ['order->items', 'customers[1].name', 'order->note'];
      const planned = plan(line, { condition, captures });
      const core = join(folder, 'core');
      stopAt(program, planned.sites, core);
      const file = openCore(fileBytes(core));
      const [thread] = file.threads;
      if (thread === undefined) throw new Error('no thread');
      const site = planned.sites.find(
        (each) => each.linkAddress === readUserRegister(thread.registers, 'rip'),
      );
      if (site === undefined) throw new Error('stopped somewhere else');
      const memory = withFile(file.memory, symbols);
      const state = { registers: thread.registers, memory, maxBytes: rangeBytes(planned) };
      const expressions = ['order', 'stats', `(${condition})`, 'customers[1].name'];
      const [order, stats, holds, name] = gdbValues({ program, core, expressions, depth: 3 });

      expect(runPlanSite(site, state).hit).toBe(holds?.value !== '0');
      const { condition: _, ...unconditional } = site;
      const hit = runPlanSite(unconditional, state);
      expect(hit.missing).toEqual([]);
      const ranges = [...hit.ranges, window(planned, thread.registers, memory)];
      const parameters = { order, stats };
      for (const [parameter, theirs] of Object.entries(parameters)) {
        const variable = symbols
          .sourceStack(linkAddress(site.linkAddress))
          .flatMap((level) => level.scope?.variables ?? [])
          .find((each) => each.name === parameter);
        if (variable === undefined || theirs?.value === undefined) throw new Error(`no ${parameter}`);
        const value = {
          type: variable.type(),
          place: { kind: 'bytes' as const, bytes: u64(BigInt(theirs.value)) },
        };
        const ours = renderVariable(parameter, value, { memory: memoryOf(...ranges), limits: defaultLimits });
        expect(differences(ours, theirs, parameter)).toEqual([]);
      }
      const text = hit.ranges.find(({ path }) => path === 'customers[1].name');
      expect(Buffer.from(text?.bytes ?? []).toString()).toBe(`${name?.text}\0`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Runs the program under gdb to the first of the sites and writes its core. */
function stopAt(program: string, sites: readonly PlanSite[], core: string): void {
  const breaks = sites.map((site) => `break *0x${site.linkAddress.toString(16)}`);
  const commands = ['set debuginfod enabled off', ...breaks, 'run', `generate-core-file ${core}`, 'kill'];
  const args = ['-q', '-nx', '-batch', ...commands.flatMap((each) => ['-ex', each])];
  const run = spawnSync('gdb', [...args, '--args', program, '--workers', '1', '--rate', '1000'], {
    encoding: 'utf8',
  });
  if (!run.stdout.includes('Saved corefile'))
    throw new Error(`gdb wrote no core: ${run.stdout}${run.stderr}`);
}

/** gdb leaves out of a core what it can read from the program's file. */
function withFile(core: MemoryReader, { elf }: ModuleSymbols): MemoryReader {
  return {
    read: (address, length) => {
      const read = core.read(address, length);
      const offset = isAbsent(read) ? elf.fileOffsetOf(address) : undefined;
      return offset === undefined ? read : { bytes: elf.source.read(offset, length), provenance: 'file' };
    },
  };
}

function window(plan: Plan, registers: Uint8Array, memory: MemoryReader): CapturedRange {
  const address = readUserRegister(registers, 'rsp') - 128n;
  for (let bytes = plan.stackBytes; bytes > 0; bytes -= 256) {
    const read = memory.read(address, bytes);
    if (!isAbsent(read)) return { address, ...read, path: 'stack' };
  }
  throw new Error('no stack');
}
