/**
 * The same random plans by every engine that has points, on a process that comes to the same place in the same state again: the same bytes, the same
 * addresses, the same reasons for what is missing, the same registers, and core files that hold the same. The interpreter, which reads the same memory through
 * /proc and out of a core of the fork engine, says what that is.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FileSource } from '../../../../agent/linux/file-source.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { openCore } from '../../../../format/core/read.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { listPlan } from '../../../../format/plan/list.js';
import { repeatsIn, type Plan } from '../../../../format/plan/plan.js';
import { type PlanSiteResult, rangeBytes, runPlanSite } from '../../../../format/plan/run.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { testSeed } from '../../../support/seed.js';
import {
  type Lab,
  type LabState,
  pageBytes,
  regionPages,
  regionStart,
  startLab,
  symbolAddress,
} from '../uprobe/lab.js';
import { Random, RandomExpressions } from '../uprobe/random-plan.js';
import { pointers, randomMemory, randomState, registersOf } from '../uprobe/random-state.js';
import { agreedOf, commonRegisters, coreOf } from './compare.js';
import { type Brought, passagesFor, PlanRunner, wayNames } from './run-plans.js';

const folder = mkdtempSync(join(tmpdir(), 'stillframe-same-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plansOfBatch = 20;
const batches = Math.ceil(Number(process.env['STILLFRAME_PLANS'] ?? 60) / plansOfBatch);
const statesOfBatch = 3;
const rangesOfPlan = 25;

function makePlans(random: Random, lab: Lab): Plan[] {
  const probed = symbolAddress(lab.path, 'probed');
  const expressions = new RandomExpressions(random, {
    regionStart,
    regionBytes: regionPages * pageBytes,
    linkAddress: symbolAddress(lab.path, 'global_numbers'),
    pointers,
  });
  return Array.from({ length: plansOfBatch }, (): Plan => {
    const condition = random.chance(50) ? { condition: expressions.value(12, false) } : {};
    const ranges = expressions.ranges(rangesOfPlan, 0, random.of([0, 20]));
    const plan: Plan = {
      version: repeatsIn(ranges) ? 3 : 1,
      module: { buildId: lab.buildId, path: lab.path },
      stackBytes: random.of([0, 64, 4096, 10_000]),
      maxBytes: random.of([20_000, 65_536, 12_000]),
      request: { location: '*probed', captures: [] },
      sites: [
        {
          linkAddress: probed,
          fileOffset: Number(probed),
          function: 'run_state',
          inlined: false,
          ...condition,
          ranges,
        },
      ],
    };
    verifyPlan(plan);
    return plan;
  });
}

interface Passages {
  readonly states: readonly LabState[];
  /** Runtime address of the probed instruction. */
  readonly rip: bigint;
}

/** What the interpreter brings from each of the states that are hits, out of some memory. */
function interpret(plan: Plan, { states, rip }: Passages, memory: MemoryReader): PlanSiteResult[] {
  const [site] = plan.sites;
  if (site === undefined) throw new Error('the plan has no site');
  return states.map((state) =>
    runPlanSite(site, { registers: registersOf(state, rip), memory, maxBytes: rangeBytes(plan) }),
  );
}

const isStack = ({ path }: { readonly path: string }): boolean => path.startsWith('stack of ');

/** All of them brought what the interpreter says, and the same besides: stack windows, registers, core files. */
function compareWays(brought: readonly Brought[], expected: readonly PlanSiteResult[], where: string): void {
  const wanted = expected.filter(({ hit }) => hit);
  expect(
    brought.map(({ way }) => way),
    where,
  ).toEqual(wayNames);
  for (const { way, captures, counters } of brought) {
    const told = `${way}, ${where}`;
    expect({ ...counters, captures: captures.length }, told).toMatchObject({
      hits: BigInt(expected.length),
      conditionFalse: BigInt(expected.filter(({ hit, faults }) => !hit && faults === 0).length),
      dropped: 0n,
      captures: wanted.length,
    });
    captures.forEach(({ capture: { ranges, missing } }, hit) => {
      const planned = {
        ranges: ranges.filter((range) => !isStack(range)),
        missing: missing.filter((range) => !isStack(range)),
      };
      expect(agreedOf(planned), `hit ${hit} of ${told}`).toEqual(agreedOf(wanted[hit] ?? planned));
    });
  }
  const [first, ...others] = brought;
  for (const other of others) {
    other.captures.forEach((captured, hit) => {
      const told = `hit ${hit} of ${other.way} against ${first?.way}, ${where}`;
      const peer = first?.captures[hit];
      if (peer === undefined) throw new Error(told);
      expect(agreedOf(captured.capture), told).toEqual(agreedOf(peer.capture));
      const [thread] = captured.capture.threads;
      const [peerThread] = peer.capture.threads;
      expect(commonRegisters(thread, peerThread), told).toBe(commonRegisters(peerThread, thread));
      const [core, peerCore] = [coreOf(captured), coreOf(peer)];
      expect({ segments: core.segments, told: core.told }, told).toEqual({
        segments: peerCore.segments,
        told: peerCore.told,
      });
    });
  }
}

/** A core of the whole process answers the plan as the process did. */
async function compareWholeCore(
  tracer: TracerSupervisor,
  pid: number,
  file: string,
  compare: (memory: MemoryReader) => void,
): Promise<void> {
  const order = { pid, file, maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' };
  const made = await tracer.core({ ...order, engine: 'fork' }, () => undefined);
  expect(made.engine).toBe('fork');
  using source = new FileSource(file);
  compare(openCore(source).memory);
  rmSync(file);
}

test(
  `${batches * plansOfBatch} random plans bring the same by every engine`,
  { timeout: 300_000 },
  async () => {
    await using tracer = new TracerSupervisor({ journalFolder: folder });
    const runner = new PlanRunner(tracer);
    const seed = testSeed();
    const random = new Random(seed);
    let compared = 0;
    for (let batch = 0; batch < batches; batch++) {
      const states = Array.from({ length: statesOfBatch }, () => randomState(random));
      const passages = Array.from({ length: passagesFor(plansOfBatch) }, () => states).flat();
      await using lab = await startLab(passages, randomMemory(random));
      const plans = makePlans(random, lab);
      const { modules } = await tracer.processFacts(lab.pid);
      const bias = modules.find(({ path }) => path === lab.path)?.bias ?? 0n;
      const at = { states, rip: symbolAddress(lab.path, 'probed') + bias };
      using memory = new ProcessMemory(lab.pid, 'at-hit');
      const expected = plans.map((plan) => interpret(plan, at, memory));
      const wanted = (index: number): number => (expected[index] ?? []).filter(({ hit }) => hit).length;
      const brought = await runner.run(lab, plans, statesOfBatch, wanted);
      plans.forEach((plan, index) => {
        const where = `plan ${index} of batch ${batch}, seed ${seed}:\n${listPlan(plan)}`;
        compareWays(brought[index] ?? [], expected[index] ?? [], where);
        compared += wanted(index) * wayNames.length;
      });
      await compareWholeCore(tracer, lab.pid, join(folder, `${batch}.core`), (core) => {
        plans.forEach((plan, index) => {
          const mine = (expected[index] ?? []).map(({ ranges }) =>
            ranges.map(({ address, bytes }) => ({ address, bytes })),
          );
          const its = interpret(plan, at, core).map(({ ranges }) =>
            ranges.map(({ address, bytes }) => ({ address, bytes })),
          );
          expect(its, `plan ${index} of batch ${batch}, seed ${seed}, in a core`).toEqual(mine);
        });
      });
    }
    console.log(`${compared} captures compared`);
    expect(compared).toBeGreaterThan(batches * plansOfBatch);
  },
);
