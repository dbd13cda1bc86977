/** Which engine runs a plan, or takes "now": the first in order of preference that the host supports and that can, and why not the others. */
import type { EngineName } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import type { Plan } from '../../format/plan/plan.js';
import type { Engine, EngineSupport } from '../engines/engine.js';

export interface Choice {
  /** What to try, best first: support that could not be told is tried after what is known to work. */
  readonly engines: readonly Engine[];
  /** Why better engines were passed over: `uprobe: needs CAP_BPF`. */
  readonly refusals: readonly string[];
}

export interface ChoiceRequest {
  readonly engines: readonly Engine[];
  readonly supports: ReadonlyMap<EngineName, EngineSupport>;
  /** Forced by the user. */
  readonly engine: EngineName | undefined;
}

export const pointOrder: readonly EngineName[] = ['uprobe', 'ptrace'];
export const watchOrder: readonly EngineName[] = ['watch'];
export const nowOrder: readonly EngineName[] = ['observe', 'ptrace', 'mem'];
export const coreOrder: readonly EngineName[] = ['fork'];

export function chooseForPoint(request: ChoiceRequest, plan: Plan): Choice {
  const order = plan.watch === undefined ? pointOrder : watchOrder;
  return choose(request, order, 'run this point', (engine) =>
    engine.arm === undefined ? 'it has no points' : engine.refusal(plan),
  );
}

export function chooseForNow(request: ChoiceRequest): Choice {
  return choose(request, nowOrder, 'read all threads now', (engine) =>
    engine.now === undefined ? whyNotNow(engine) : undefined,
  );
}

const whyNotNow = (engine: Engine): string =>
  engine.copy === undefined ? 'it only has points' : 'it copies whole processes, for `stillframe core`';

export function chooseForCore(request: ChoiceRequest): Choice {
  return choose(request, coreOrder, 'take the whole memory', (engine) =>
    engine.copy === undefined ? 'it cannot hold memory still' : undefined,
  );
}

function choose(
  request: ChoiceRequest,
  order: readonly EngineName[],
  purpose: string,
  refusalOf: (engine: Engine) => string | undefined,
): Choice {
  const usable: Engine[] = [];
  const doubtful: Engine[] = [];
  const refusals: string[] = [];
  let remedy: string | undefined;
  for (const name of request.engine === undefined ? order : [request.engine]) {
    const engine = request.engines.find((candidate) => candidate.name === name);
    const support = request.supports.get(name);
    const refusal = engine === undefined ? 'this version does not have it' : refusalOf(engine);
    if (engine === undefined || refusal !== undefined) {
      refusals.push(`${name}: ${refusal}`);
    } else if (support?.supported === 'no') {
      refusals.push(`${name}: ${support.detail}`);
      remedy ??= support.remedy;
    } else {
      (support?.supported === 'yes' ? usable : doubtful).push(engine);
    }
  }
  const engines = [...usable, ...doubtful];
  if (engines.length === 0) {
    throw new StillframeError(
      remedy === undefined ? 'unsupported' : 'denied',
      `no engine can ${purpose}: ${refusals.join('; ')}`,
      remedy === undefined ? {} : { hint: remedy },
    );
  }
  return { engines, refusals };
}
