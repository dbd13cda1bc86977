/** From a request of a user to an encoded plan for the processes that fit: targets, module, symbols, plan. */
import { readFileSync, readlinkSync } from 'node:fs';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { EngineName } from '../../format/capture.js';
import { defaultLimits } from '../../format/limits.js';
import type { PointTerms } from '../../format/point-terms.js';
import { encodePlan } from '../../format/plan/encode.js';
import type { MetricRequest } from '../planner/metric.js';
import { planPoint, type PlannedPoint } from '../planner/plan.js';
import type { WatchRequest } from '../planner/watch.js';
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentFacts, AgentModule, AgentTarget, NowOrder, TargetFacts } from '../rpc/agent-facts.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import type { NowOptions } from './controller-api.js';
import type { PlannedModule, SymbolAnswers } from './symbol-answers.js';
import { findUnloadedModule } from './unloaded-module.js';
import { chooseModule, executableOf, findTargets, splitLocation } from './targets.js';

export interface PointOptions {
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
  readonly exe?: string;
  /** Hits are added up, and nothing is captured. */
  readonly metric?: MetricRequest;
  /** False: only what is asked for, no parameters and locals. */
  readonly locals?: boolean;
  /** The location is an expression, and hits are writes of it. */
  readonly watch?: WatchRequest;
  readonly terms?: PointTerms;
}

export interface CaptureBounds {
  readonly depth?: number;
  readonly stackBytes?: number;
  readonly bytes?: number;
  /** Of points: probes may be put past loads where a hit costs less there. */
  readonly cheap?: boolean;
}

export interface Planned extends PlannedModule {
  readonly targets: readonly AgentTarget[];
  readonly module: AgentModule;
  /** Processes that fit the target and run another build, or do not map the module. */
  readonly leftOut: readonly { readonly target: AgentTarget; readonly reason: string }[];
}

/** What is asked of the processes of one agent, as far as facts go. */
export type FactsAgent = Pick<AgentConversation, 'facts' | 'targetFacts'>;

export interface ChosenProcess {
  readonly target: AgentTarget;
  readonly module: AgentModule;
  readonly isExecutable: boolean;
}

/** Processes of one agent whose module of the location is of the same build, and why the others were left out. */
export interface ChosenProcesses {
  /** Empty when none has such a module; `refusal` says why then. */
  readonly chosen: readonly ChosenProcess[];
  readonly leftOut: readonly { readonly target: AgentTarget; readonly reason: string }[];
  readonly refusal: StillframeError | undefined;
}

/** Processes whose facts are read; more than that fit seldom, and one hit is enough. */
export const maxTargets = 256;

export async function planFor(
  client: FactsAgent & Pick<AgentConversation, 'listTargets'>,
  options: PointOptions,
  symbols: SymbolAnswers,
): Promise<Planned> {
  const found = await findTargets(client, options.target);
  return await planChosen(client, await chooseProcesses(client, found, options.location), options, symbols);
}

/** Throws `unreachable`; what fails for one process leaves that one out. */
export async function chooseProcesses(
  client: FactsAgent,
  targets: readonly AgentTarget[],
  location: string,
): Promise<ChosenProcesses> {
  const { module: moduleName } = splitLocation(location);
  const chosen: ChosenProcess[] = [];
  const leftOut: { target: AgentTarget; reason: string }[] = [];
  let refusal: StillframeError | undefined;
  for (const target of targets.slice(0, maxTargets)) {
    try {
      const process = chooseInProcess(await client.targetFacts(target.pid), moduleName, isLocal(client));
      const [first] = chosen;
      if (first === undefined || first.module.buildId === process.module.buildId) chosen.push(process);
      else leftOut.push({ target, reason: `it runs another build of "${process.module.path}"` });
    } catch (error) {
      const failure = toStillframeError(error);
      if (failure.code === 'unreachable') throw failure;
      refusal ??= failure;
      leftOut.push({ target, reason: failure.message });
    }
  }
  return { chosen, leftOut, refusal };
}

/** The module of that name in a process, or which it may load later, or its executable. Throws `not-found` or `ambiguous`. */
export function chooseInProcess(
  facts: TargetFacts,
  moduleName: string | undefined,
  local: boolean,
): ChosenProcess {
  try {
    const module = chooseModule(facts, moduleName);
    return { target: facts.target, module, isExecutable: module === executableOf(facts) };
  } catch (error) {
    if (moduleName === undefined || toStillframeError(error).code !== 'not-found') throw error;
    const module = findUnloadedModule(facts, moduleName, local);
    if (module === undefined) throw error;
    return { target: facts.target, module, isExecutable: false };
  }
}

/** Throws the refusal when nothing was chosen, and what opening the file or planning throws. */
export async function planChosen(
  client: FactsAgent,
  { chosen, leftOut, refusal }: ChosenProcesses,
  options: PointOptions,
  symbols: SymbolAnswers,
): Promise<Planned> {
  const [first] = chosen;
  if (first === undefined) {
    throw refusal ?? new StillframeError('not-found', `no process fits "${options.target}"`);
  }
  const { module, isExecutable } = first;
  const { location, condition, captures, bounds, metric, locals, watch } = options;
  const planned = await symbols.plan({
    pid: first.target.pid,
    module,
    isExecutable,
    local: isLocal(client),
    ...(options.exe === undefined ? {} : { exe: options.exe }),
    texts: {
      location,
      captures,
      bounds,
      ...(condition === undefined ? {} : { condition }),
      ...(metric === undefined ? {} : { metric }),
      ...(locals === undefined ? {} : { locals }),
      ...(watch === undefined ? {} : { watch }),
    },
  });
  if (planned instanceof StillframeError) throw planned;
  return { ...planned, targets: chosen.map(({ target }) => target), module, leftOut };
}

export interface PlanTexts extends Pick<
  PointOptions,
  'location' | 'condition' | 'captures' | 'bounds' | 'metric' | 'locals' | 'watch'
> {
  /** Hits are counted: nothing is collected but what the condition needs. */
  readonly countOnly?: boolean;
}

/** Throws what `planPoint` throws. */
export function planModule(
  symbols: ModuleSymbols,
  modulePath: string,
  texts: PlanTexts,
): PlannedPoint & { readonly encoded: Uint8Array } {
  const { depth, stackBytes, bytes, cheap } = texts.bounds;
  const planned = planPoint({
    symbols,
    modulePath,
    location: splitLocation(texts.location).location,
    captures: texts.captures,
    ...(texts.condition === undefined ? {} : { condition: texts.condition }),
    ...(depth === undefined ? {} : { depth }),
    ...(stackBytes === undefined ? {} : { stackBytes }),
    ...(bytes === undefined ? {} : { maxBytes: bytes }),
    ...(cheap === true ? { cheap } : {}),
    ...(texts.countOnly === true || texts.locals === false ? { locals: false } : {}),
    ...(texts.metric === undefined ? {} : { metric: texts.metric }),
    ...(texts.watch === undefined ? {} : { watch: texts.watch }),
  });
  return { ...planned, encoded: encodePlan(planned.plan) };
}

const defaultNowBytes = 8 * 1024 * 1024;

export function nowOrder(options: Omit<NowOptions, 'target'>, pid: number): NowOrder {
  const { stackBytes, bytes } = options.bounds;
  return {
    pid,
    tids: options.tids,
    stackBytes: stackBytes ?? defaultLimits.defaultStackBytes,
    maxBytes: bytes ?? defaultNowBytes,
    engine: options.engine,
  };
}

/** Whether /proc/PID here is the agent's /proc/PID: the same boot of the same kernel, the same pid namespace. */
export function isLocal({ facts }: { readonly facts: AgentFacts }): boolean {
  const { bootId, pidNamespace } = facts;
  try {
    return (
      bootId === readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() &&
      pidNamespace === readlinkSync('/proc/self/ns/pid')
    );
  } catch {
    return false;
  }
}
