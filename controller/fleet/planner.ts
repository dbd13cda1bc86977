/**
 * Plans for points of a fleet: one for each point and build, made once, one after another. Symbols of a few builds are held open, for a
 * point that fits many processes is planned for few builds, and a rule sets point after point in the same one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { AgentModule } from '../rpc/agent-facts.js';
import { openModuleFile, type ModuleFile } from '../service/module-file.js';
import { planModule } from '../service/planning.js';
import { bringDebugFile } from '../service/symbols.js';
import type { OpenSymbols } from '../snapshot/module.js';
import type { PointRecord } from '../store/store.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';

export interface PlanRequest {
  readonly point: Pick<PointRecord, 'id' | 'location' | 'condition' | 'captures' | 'bounds' | 'kind'>;
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
const maxSymbols = 4;

type Outcome = { readonly plan: Uint8Array } | { readonly error: StillframeError };

interface HeldSymbols {
  readonly symbols: ModuleSymbols;
  readonly file: ModuleFile;
}

export class Planner implements PointPlanner, Disposable {
  readonly #openSymbols: OpenSymbols;
  /** By point, then by build; the point that was asked for last comes last. */
  readonly #plans = new Map<string, Map<string, Outcome>>();
  /** By build; the one that was used last comes last. */
  readonly #symbols = new Map<string, HeldSymbols>();
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(openSymbols: OpenSymbols) {
    this.#openSymbols = openSymbols;
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
    for (const { file } of this.#symbols.values()) file[Symbol.dispose]();
    this.#symbols.clear();
    this.#plans.clear();
  }

  #find({ point, module }: PlanRequest): Outcome | undefined {
    return this.#plans.get(point.id)?.get(keyOf(module));
  }

  async #make(request: PlanRequest): Promise<Outcome> {
    if (this.#closed) throw new StillframeError('internal', 'the planner is closed');
    // A file that is not here may be here tomorrow: that is not kept.
    const { symbols, release } = await this.#hold(request);
    let outcome: Outcome;
    try {
      const { point, module } = request;
      const { encoded } = planModule(symbols, module.path, {
        location: point.location,
        captures: point.captures,
        bounds: point.bounds,
        countOnly: point.kind === 'count',
        ...(point.condition === undefined ? {} : { condition: point.condition }),
      });
      outcome = { plan: encoded };
    } catch (error) {
      outcome = { error: toStillframeError(error) };
    } finally {
      release();
    }
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

  async #hold(
    request: PlanRequest,
  ): Promise<{ readonly symbols: ModuleSymbols; readonly release: () => void }> {
    const { module, pid, isExecutable, local } = request;
    const known = this.#symbols.get(module.buildId);
    if (known !== undefined && module.buildId !== '') {
      this.#symbols.delete(module.buildId);
      this.#symbols.set(module.buildId, known);
      return { symbols: known.symbols, release: () => undefined };
    }
    const file = openModuleFile({ pid, module, isExecutable, local });
    let symbols: ModuleSymbols;
    try {
      await bringDebugFile(file.elf);
      symbols = this.#openSymbols(file.elf);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
    // Without a build id nothing says that it is the same file the next time.
    if (module.buildId === '') return { symbols, release: () => file[Symbol.dispose]() };
    this.#symbols.set(module.buildId, { symbols, file });
    for (const [oldest, held] of this.#symbols) {
      if (this.#symbols.size <= maxSymbols) break;
      held.file[Symbol.dispose]();
      this.#symbols.delete(oldest);
    }
    return { symbols, release: () => undefined };
  }
}

const keyOf = ({ buildId, path }: AgentModule): string => (buildId === '' ? `path ${path}` : buildId);
