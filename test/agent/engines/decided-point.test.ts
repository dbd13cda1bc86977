/** Candidates of an engine in memory: which become hits, what is counted of the others, and how it ends. */
import { describe, expect, test } from 'vitest';
import { armPoint, candidateIntervalNs } from '../../../agent/engines/decided-point.js';
import type {
  ArmedPoint,
  ArmRequest,
  Engine,
  PointCounters,
  PointEnd,
  PointSink,
} from '../../../agent/engines/engine.js';
import type { Capture } from '../../../format/capture.js';
import type { Decision } from '../../../format/decision/decision.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import type { Plan } from '../../../format/plan/plan.js';
import { captureOf, rangeOf, registersOf, threadOf } from '../../support/captures.js';
import { planOf, siteOf } from '../../support/plan.js';

/** Whether the byte that rdi points to is 1. */
const isOne: Decision = {
  cells: [
    {
      kind: 'ops',
      ops: Uint8Array.of(DW_OP.DW_OP_breg5, 0, DW_OP.DW_OP_deref_size, 1, DW_OP.DW_OP_lit1, DW_OP.DW_OP_eq),
    },
  ],
};
const decidedPlan: Plan = planOf([siteOf({ decision: isOne }), siteOf({ linkAddress: 0x2000n })], {
  version: 3,
});

class FakeEngine implements Engine {
  readonly name = 'uprobe' as const;
  request: ArmRequest | undefined;
  sink: PointSink | undefined;
  disarms = 0;
  counted: PointCounters = { hits: 20n, conditionFalse: 3n, faults: 1n, dropped: 2n, delivered: 14n };
  whileArming: (sink: PointSink) => void = () => undefined;
  failure: Error | undefined;

  probe(): ReturnType<Engine['probe']> {
    return Promise.resolve({ supported: 'yes', detail: '' });
  }
  refusal(): undefined {
    return undefined;
  }
  readonly arm = (request: ArmRequest, sink: PointSink): Promise<ArmedPoint> => {
    this.request = request;
    this.sink = sink;
    this.whileArming(sink);
    return Promise.resolve({
      engine: 'uprobe',
      addresses: [0x1136n],
      counters: () => this.counted,
      disarm: () => {
        this.disarms++;
        return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
      },
    });
  };

  /** `byte`: what is at rdi; undefined: nothing that was captured. */
  candidate(byte: number | undefined, more: Partial<Capture> = {}): void {
    this.sink?.hit(candidate(byte, more));
  }
}

function candidate(byte: number | undefined, more: Partial<Capture> = {}): Capture {
  return captureOf({
    site: 0,
    threads: [threadOf(100, { registers: registersOf({ rip: 0x1136n, rdi: 0x5000n }) })],
    ranges: byte === undefined ? [] : [rangeOf(0x5000n, [byte])],
    ...more,
  });
}

class Heard implements PointSink {
  readonly hits: Capture[] = [];
  readonly ends: { readonly reason: PointEnd; readonly last: PointCounters }[] = [];
  hit(capture: Capture): void {
    this.hits.push(capture);
  }
  ended(reason: PointEnd, last: PointCounters): void {
    this.ends.push({ reason, last });
  }
}

const requestOf = (more: Partial<ArmRequest> = {}): ArmRequest => ({
  pointId: 'p',
  pid: 100,
  plan: decidedPlan,
  countOnly: false,
  maxHits: 2,
  minIntervalNs: 0n,
  forced: false,
  ...more,
});

async function armed(
  more: Partial<ArmRequest> = {},
  engine = new FakeEngine(),
): Promise<{ engine: FakeEngine; heard: Heard; point: ArmedPoint }> {
  const heard = new Heard();
  const point = await armPoint(engine, requestOf(more), heard);
  if (point === undefined) throw new Error('not armed');
  return { engine, heard, point };
}

/** Until what was begun has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a point with something to decide', () => {
  test('the engine has no end of candidates, not more than so many a second', async () => {
    const { engine } = await armed({ maxHits: 2, minIntervalNs: 1_000_000_000n });
    expect(engine.request).toMatchObject({ maxHits: 0x7fff_ffff, minIntervalNs: candidateIntervalNs });
  });

  test('only those are hits for which it holds; the others are counted, with the reason', async () => {
    const { engine, heard, point } = await armed();
    for (const byte of [0, 1, 2, undefined]) engine.candidate(byte);
    expect(heard.hits.map(({ cost }) => cost.conditionFalse)).toEqual([6 + 1]);
    expect(point.counters()).toEqual({
      hits: 20n,
      conditionFalse: 3n + 2n,
      faults: 1n,
      dropped: 2n,
      delivered: 1n,
      undecided: 1n,
      undecidedWhy: '1 bytes at 0x5000 were not captured',
    });
  });

  test('a site without a decision is one of its hits', async () => {
    const { engine, heard } = await armed();
    engine.candidate(0, { site: 1 });
    expect(heard.hits).toHaveLength(1);
  });

  test('what the engine did not bring is undecided, and what came too soon after a hit is not delivered', async () => {
    const { engine, heard, point } = await armed({ maxHits: 5, minIntervalNs: 1000n });
    engine.candidate(1, { timeNs: 10_000n });
    engine.candidate(1, { timeNs: 10_900n });
    engine.candidate(1, { timeNs: 11_000n });
    expect(heard.hits.map(({ timeNs }) => timeNs)).toEqual([10_000n, 11_000n]);
    engine.counted = { ...engine.counted, limited: 7n };
    expect(point.counters()).toMatchObject({
      delivered: 2n,
      limited: 1n,
      undecided: 7n,
      undecidedWhy: 'more than 100 a second that the kernel lets through',
    });
  });

  test('it ends with its last hit, when the engine has disarmed', async () => {
    const { engine, heard } = await armed();
    for (const byte of [1, 0, 1, 1]) engine.candidate(byte);
    expect(heard.ends).toEqual([]);
    await settled();
    expect(heard.hits).toHaveLength(2);
    expect(engine.disarms).toBe(1);
    expect(heard.ends).toMatchObject([
      {
        reason: { kind: 'hits', detail: '2 of 2 hits delivered' },
        last: { delivered: 2n, conditionFalse: 4n },
      },
    ]);
  });

  test('also where all hits came before it was armed', async () => {
    const engine = new FakeEngine();
    engine.whileArming = (sink) => {
      for (const byte of [1, 1]) sink.hit(candidate(byte));
    };
    const { heard } = await armed({}, engine);
    await settled();
    expect(engine.disarms).toBe(1);
    expect(heard.ends).toMatchObject([{ reason: { kind: 'hits' } }]);
  });

  test('an engine that cannot disarm says so', async () => {
    const engine = new FakeEngine();
    engine.failure = new Error('the kernel still lists a probe');
    const { heard } = await armed({ maxHits: 1 }, engine);
    engine.candidate(1);
    await settled();
    expect(heard.ends).toMatchObject([
      { reason: { kind: 'failed', detail: expect.stringContaining('still lists a probe') as unknown } },
    ]);
  });

  test('it ends with its process', async () => {
    const { engine, heard } = await armed();
    engine.candidate(0);
    engine.sink?.ended({ kind: 'target-gone', detail: 'process 100 is gone' }, engine.counted);
    engine.candidate(1);
    expect(heard.hits).toEqual([]);
    expect(heard.ends).toMatchObject([{ reason: { kind: 'target-gone' }, last: { conditionFalse: 4n } }]);
  });

  test('registers that are not known leave it undecided', async () => {
    const { engine, heard, point } = await armed();
    engine.candidate(1, { tid: 7 });
    expect(heard.hits).toEqual([]);
    expect(point.counters().undecidedWhy).toBe('the registers of the thread are not known');
  });
});

test.each([
  ['without a decision', requestOf({ plan: planOf([siteOf()]), maxHits: 3, minIntervalNs: 5n })],
  ['that only counts', requestOf({ countOnly: true, maxHits: 3, minIntervalNs: 5n })],
])('a point %s is the engine takes as it is', async (_, request) => {
  const engine = new FakeEngine();
  const heard = new Heard();
  await armPoint(engine, request, heard);
  expect(engine.request).toBe(request);
  expect(engine.sink).toBe(heard);
});
