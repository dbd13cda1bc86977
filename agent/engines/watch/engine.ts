/**
 * The `watch` engine: hits are writes of an object in memory, whoever writes it. The processor's address registers find them, a program in the kernel
 * decides the condition and copies, in the thread that wrote, right after the instruction that did. Nothing is stopped and nothing written;
 * the registers are set by perf events, which go with the descriptors of this process, whatever way it ends.
 */
import { toStillframeError } from '../../../format/error.js';
import type { Plan } from '../../../format/plan/plan.js';
import { sharedPump } from '../../bpf/record-pump.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { ElfFactsCache } from '../../targets/elf-facts.js';
import type { ArmedPoint, ArmRequest, Engine, EngineSupport, PointSink } from '../engine.js';
import { WatchPoint } from './point.js';
import { measureWrite } from './probe.js';

export function watchEngine(): Engine {
  return new WatchEngine();
}

class WatchEngine implements Engine {
  readonly name = 'watch';
  readonly #elfFacts = new ElfFactsCache();
  #writeNs: number | undefined;

  probe(): Promise<EngineSupport> {
    try {
      this.#writeNs = measureWrite();
      const cost = (this.#writeNs / 1000).toFixed(1);
      return Promise.resolve({
        supported: 'yes',
        detail: `writes of up to four objects a process, about ${cost} us each${ownProcessesOnly()}`,
      });
    } catch (error) {
      const { code, message, hint } = toStillframeError(error);
      if (code !== 'denied' && code !== 'system' && code !== 'unsupported' && code !== 'limit')
        return Promise.resolve({ supported: 'unknown', detail: message });
      const remedy =
        hint ?? 'needs Linux 5.15 and a processor (or virtual machine) with hardware breakpoints';
      return Promise.resolve({ supported: 'no', detail: message, remedy });
    }
  }

  refusal(plan: Plan): string | undefined {
    if (plan.watch === undefined) return 'it watches memory, and this is a place in code';
    return plan.aggregate === undefined ? undefined : 'it adds nothing up';
  }

  async arm(request: ArmRequest, sink: PointSink): Promise<ArmedPoint> {
    if (this.#writeNs === undefined) await this.probe();
    const writeNs = this.#writeNs ?? 0;
    return new WatchPoint(request, sink, { pump: sharedPump(), elfFacts: this.#elfFacts, writeNs });
  }
}
