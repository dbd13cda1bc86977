/** Runs plans on the lab of the uprobe engine by every engine that has points: what each brings from the same states. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapturedProcess } from '../../../../agent/tracer/client.js';
import type { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import type { EngineName } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan, PlanSite } from '../../../../format/plan/plan.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { expression, u64 } from '../../../support/dwarf-expression.js';
import { type Lab, symbolAddress } from '../uprobe/lab.js';

export const wayNames = ['uprobe', 'ptrace', 'ptrace with int3', 'watch'] as const;
export type WayName = (typeof wayNames)[number];

interface Order {
  readonly way: WayName;
  readonly engine: EngineName;
  readonly index: number;
  readonly plan: Plan;
}

/** Three of the processor's four registers, so that one is left for others. */
const watchesAtOnce = 3;

/** With more places than the processor has registers, so that breakpoints are written into the code. */
function withPlacesAside(plan: Plan, path: string): Plan {
  const aside = symbolAddress(path, 'aside');
  const others = [0n, 1n, 2n, 3n].map((offset): PlanSite => ({
    linkAddress: aside + offset,
    fileOffset: Number(aside + offset),
    function: 'aside',
    inlined: false,
    ranges: [],
  }));
  return { ...plan, sites: [...plan.sites, ...others] };
}

/** The same ranges at the write that comes right before the probed instruction. */
function atTheWrite(plan: Plan, path: string): Plan {
  const address = expression(DW_OP.DW_OP_addr, u64(symbolAddress(path, 'written')));
  const watched: Plan = {
    ...plan,
    version: 3,
    watch: { expression: 'written', address, bytes: 8, onlyChanges: false },
    sites: plan.sites.map((site) => ({ ...site, linkAddress: 0n, fileOffset: 0 })),
  };
  verifyPlan(watched);
  return watched;
}

/** What is armed at once, one group after the other. Uprobes and hardware breakpoints are: they meet the very same passages. */
function groupsOf(plans: readonly Plan[], path: string): Order[][] {
  const all = (way: WayName, engine: EngineName, make: (plan: Plan) => Plan): Order[] =>
    plans.map((plan, index) => ({ way, engine, index, plan: make(plan) }));
  const watches = all('watch', 'watch', (plan) => atTheWrite(plan, path));
  return [
    [...all('uprobe', 'uprobe', (plan) => plan), ...all('ptrace', 'ptrace', (plan) => plan)],
    all('ptrace with int3', 'ptrace', (plan) => withPlacesAside(plan, path)),
    ...Array.from({ length: Math.ceil(watches.length / watchesAtOnce) }, (_, i) =>
      watches.slice(i * watchesAtOnce, (i + 1) * watchesAtOnce),
    ),
  ];
}

/** How often the lab must have all states, for so many plans. */
export const passagesFor = (plans: number): number => 2 + Math.ceil(plans / watchesAtOnce);

export interface Brought {
  readonly way: WayName;
  readonly captures: readonly CapturedProcess[];
  readonly counters: { readonly hits: bigint; readonly conditionFalse: bigint; readonly dropped: bigint };
}

export class PlanRunner {
  readonly #tracer: TracerSupervisor;
  readonly #hits = new Map<string, CapturedProcess[]>();
  #armed = 0;

  constructor(tracer: TracerSupervisor) {
    this.#tracer = tracer;
    tracer.listen({
      hit: (pointId, captured) => void this.#hits.get(pointId)?.push(captured),
      ended: () => undefined,
      restarted: () => undefined,
    });
  }

  /** By index of the plan, what each way brought. `wanted`: how many hits are to come of it. */
  async run(
    lab: Lab,
    plans: readonly Plan[],
    states: number,
    wanted: (index: number) => number,
  ): Promise<Brought[][]> {
    const brought: Brought[][] = plans.map(() => []);
    for (const group of groupsOf(plans, lab.path)) {
      const armed: (Order & { readonly pointId: string })[] = [];
      for (const order of group) armed.push({ ...order, pointId: await this.#arm(lab.pid, order) });
      await lab.step(states);
      for (const { pointId, way, index } of armed) {
        const captures = await this.#arrived(pointId, { hits: BigInt(states), captures: wanted(index) });
        const last = await this.#tracer.disarm(pointId, lab.pid);
        if (last === undefined) throw new Error(`${way} of plan ${index} ended by itself`);
        brought[index]?.push({ way, captures, counters: last });
        this.#hits.delete(pointId);
      }
    }
    return brought;
  }

  async #arm(pid: number, { engine, plan }: Order): Promise<string> {
    const pointId = `point ${this.#armed++}`;
    this.#hits.set(pointId, []);
    await this.#tracer.arm({ pointId, pid, plan, engine, maxHits: 1000, minIntervalNs: 0n });
    return pointId;
  }

  /** Gives up after a time that only a hit which never comes takes; what is compared then says which. */
  async #arrived(
    pointId: string,
    wanted: { readonly hits: bigint; readonly captures: number },
  ): Promise<readonly CapturedProcess[]> {
    const captures = this.#hits.get(pointId) ?? [];
    for (let i = 0; i < 30_000; i++) {
      const [found] = await this.#tracer.counters([pointId]);
      if (captures.length >= wanted.captures && (found?.counters.hits ?? 0n) >= wanted.hits) break;
      await sleep(2);
    }
    return captures;
  }
}
