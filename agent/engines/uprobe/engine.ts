/**
 * The `uprobe` engine: the plan is compiled to eBPF and attached to uprobes; condition, pointer chasing and copying happen in the kernel, in the
 * hitting thread, which is delayed by about a microsecond. Nothing is stopped, nothing is written to the target but the
 * kernel's own breakpoint, which the kernel removes with the descriptor of the attachment, whatever way this process ends.
 */
import type { Plan } from '../../../format/plan/plan.js';
import { toStillframeError } from '../../../format/error.js';
import { sharedPump } from '../../bpf/record-pump.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { ElfFactsCache } from '../../targets/elf-facts.js';
import type { ArmedPoint, ArmRequest, Engine, EngineSupport, PointSink } from '../engine.js';
import { type AttachWay, attachWays } from './attach.js';
import { HitCosts } from './hit-cost.js';
import { UprobePoint } from './point.js';
import { tryWay } from './probe.js';

/** `ways`: for tests, to try only some; all in order of preference unless given. */
export function uprobeEngine(ways: readonly AttachWay[] = attachWays()): Engine {
  return new UprobeEngine(ways);
}

class UprobeEngine implements Engine {
  readonly name = 'uprobe';
  readonly #elfFacts = new ElfFactsCache();
  readonly #costs = new HitCosts();
  readonly #ways: readonly AttachWay[];
  #way: AttachWay | undefined;

  constructor(ways: readonly AttachWay[]) {
    this.#ways = ways;
  }

  async probe(): Promise<EngineSupport> {
    let refusal: unknown;
    for (const way of this.#ways) {
      try {
        tryWay(way);
        this.#way = way;
        const reads = way.sleepable ? 'sleepable' : 'reads resident pages only';
        return { supported: 'yes', detail: `${way.name}, ${reads}${ownProcessesOnly()}` };
      } catch (error) {
        refusal ??= error;
      }
    }
    const error = toStillframeError(refusal);
    return error.code === 'denied' || error.code === 'system' || error.code === 'unsupported'
      ? {
          supported: 'no',
          detail: error.message,
          remedy: error.hint ?? 'needs Linux 6.6 or newer, or CAP_SYS_ADMIN and uprobes in perf',
        }
      : { supported: 'unknown', detail: error.message };
  }

  refusal(plan: Plan): string | undefined {
    if (plan.watch !== undefined) return 'it probes places in code, and this is memory';
    return plan.sites.length === 0 ? 'the plan has no sites' : undefined;
  }

  async arm(request: ArmRequest, sink: PointSink): Promise<ArmedPoint> {
    const way = await this.#chosenWay();
    return new UprobePoint(request, sink, {
      way,
      pump: sharedPump(),
      elfFacts: this.#elfFacts,
      costs: this.#costs,
    });
  }

  /** The first that works; the best where none does, for its error says why. */
  async #chosenWay(): Promise<AttachWay> {
    if (this.#way === undefined) await this.probe();
    const [first] = this.#ways;
    const way = this.#way ?? first;
    if (way === undefined) throw new TypeError('there is no way to attach');
    return way;
  }
}
