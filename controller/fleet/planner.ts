/** Plans for points of a fleet: one for each point and build, made once, one after another, of debug information that is held for the next. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StillframeError } from '../../format/error.js';
import type { AgentModule } from '../rpc/agent-facts.js';
import type { SymbolAnswers } from '../service/symbol-answers.js';
import type { PointRecord } from '../store/store.js';

export interface PlanRequest {
  readonly point: Pick<
    PointRecord,
    'id' | 'location' | 'condition' | 'captures' | 'bounds' | 'kind' | 'watch'
  >;
  /** The module of the location, in a process that maps it. */
  readonly module: AgentModule;
  readonly pid: number;
  readonly isExecutable: boolean;
  /** Its agent shares this host's kernel and pid namespace. */
  readonly local: boolean;
}

export interface PointPlanner {
  /** The encoded plan. Throws what is wrong with location or expressions, or why the module's file cannot be had. */
  plan(request: PlanRequest): Promise<Uint8Array>;
  /** Nobody asks for plans of that point any more. */
  forget(point: string): void;
}

const maxPlans = 2000;

type Outcome = { readonly plan: Uint8Array } | { readonly error: StillframeError };

export class Planner implements PointPlanner, Disposable {
  readonly #symbols: SymbolAnswers;
  readonly #held: Disposable;
  /** By point, then by build; the point that was asked for last comes last. */
  readonly #plans = new Map<string, Map<string, Outcome>>();
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(symbols: SymbolAnswers) {
    this.#symbols = symbols;
    this.#held = symbols.hold();
  }

  plan(request: PlanRequest): Promise<Uint8Array> {
    // Planning takes the one thread that there is: what waits at it gets its turn between two plans.
    const planned = this.#last.then(async () => {
      const known = this.#find(request);
      if (known === undefined) await nextTurn();
      const outcome = known ?? (await this.#make(request));
      if ('error' in outcome) throw outcome.error;
      return outcome.plan;
    });
    this.#last = planned.catch(() => undefined);
    return planned;
  }

  forget(point: string): void {
    this.#plans.delete(point);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#held[Symbol.dispose]();
    this.#plans.clear();
  }

  #find({ point, module }: PlanRequest): Outcome | undefined {
    return this.#plans.get(point.id)?.get(keyOf(module));
  }

  async #make(request: PlanRequest): Promise<Outcome> {
    if (this.#closed) throw new StillframeError('internal', 'the planner is closed');
    const { point, ...module } = request;
    // A file that is not here may be here tomorrow: that is not kept.
    const planned = await this.#symbols.plan({
      ...module,
      texts: {
        location: point.location,
        captures: point.captures,
        bounds: point.bounds,
        countOnly: point.kind === 'count',
        ...(point.condition === undefined ? {} : { condition: point.condition }),
        ...(point.watch === undefined ? {} : { watch: point.watch }),
      },
    });
    const outcome = planned instanceof StillframeError ? { error: planned } : { plan: planned.encoded };
    this.#keep(request, outcome);
    return outcome;
  }

  #keep({ point, module }: PlanRequest, outcome: Outcome): void {
    const plans = this.#plans.get(point.id) ?? new Map<string, Outcome>();
    plans.set(keyOf(module), outcome);
    this.#plans.delete(point.id);
    this.#plans.set(point.id, plans);
    for (const [oldest] of this.#plans) {
      if (this.#plans.size <= maxPlans) break;
      this.#plans.delete(oldest);
    }
  }
}

const keyOf = ({ buildId, path }: AgentModule): string => (buildId === '' ? `path ${path}` : buildId);
