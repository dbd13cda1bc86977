/** From a request of a user to an encoded plan for the processes that fit: targets, module, symbols, plan. */
import { readFileSync, readlinkSync } from 'node:fs';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { EngineName } from '../../format/capture.js';
import { encodePlan } from '../../format/plan/encode.js';
import type { Explanation } from '../planner/explain.js';
import { planPoint, type PlannedPoint } from '../planner/plan.js';
import type { AgentClient } from '../rpc/agent-client.js';
import type { AgentModule, AgentTarget, TargetFacts } from '../rpc/agent-facts.js';
import type { OpenSymbols } from '../snapshot/module.js';
import { bringDebugFile } from './symbols.js';
import { openModuleFile } from './module-file.js';
import { chooseModule, executableOf, findTargets, splitLocation } from './targets.js';

export interface PointOptions {
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
  readonly exe?: string;
}

export interface CaptureBounds {
  readonly depth?: number;
  readonly stackBytes?: number;
  readonly bytes?: number;
}

export interface Planned extends PlannedPoint {
  readonly encoded: Uint8Array;
  readonly targets: readonly AgentTarget[];
  readonly module: AgentModule;
  readonly explanation: Explanation;
  /** Processes that fit the target and run another build, or do not map the module. */
  readonly leftOut: readonly { readonly target: AgentTarget; readonly reason: string }[];
}

/** Processes whose facts are read; more than that fit seldom, and one hit is enough. */
const maxTargets = 256;

export async function planFor(
  client: AgentClient,
  options: PointOptions,
  openSymbols: OpenSymbols,
): Promise<Planned> {
  const found = (await findTargets(client, options.target)).slice(0, maxTargets);
  const { module: moduleName, location } = splitLocation(options.location);
  const chosen: { target: AgentTarget; module: AgentModule; isExecutable: boolean }[] = [];
  const leftOut: { target: AgentTarget; reason: string }[] = [];
  let refusal: StillframeError | undefined;
  for (const target of found) {
    try {
      const facts: TargetFacts = await client.targetFacts(target.pid);
      const module = chooseModule(facts, moduleName);
      const [first] = chosen;
      if (first === undefined || first.module.buildId === module.buildId) {
        chosen.push({ target, module, isExecutable: module === executableOf(facts) });
      } else {
        leftOut.push({ target, reason: `it runs another build of "${module.path}"` });
      }
    } catch (error) {
      const failure = toStillframeError(error);
      if (failure.code === 'unreachable') throw failure;
      refusal ??= failure;
      leftOut.push({ target, reason: failure.message });
    }
  }
  const [first] = chosen;
  if (first === undefined)
    throw refusal ?? new StillframeError('not-found', `no process fits "${options.target}"`);
  const { module, isExecutable } = first;
  using file = openModuleFile({
    pid: first.target.pid,
    module,
    isExecutable,
    local: isLocal(client),
    ...(options.exe === undefined ? {} : { exe: options.exe }),
  });
  const { depth, stackBytes, bytes } = options.bounds;
  await bringDebugFile(file.elf);
  const planned = planPoint({
    symbols: openSymbols(file.elf),
    modulePath: module.path,
    location,
    captures: options.captures,
    ...(options.condition === undefined ? {} : { condition: options.condition }),
    ...(depth === undefined ? {} : { depth }),
    ...(stackBytes === undefined ? {} : { stackBytes }),
    ...(bytes === undefined ? {} : { maxBytes: bytes }),
  });
  return {
    ...planned,
    encoded: encodePlan(planned.plan),
    targets: chosen.map(({ target }) => target),
    module,
    leftOut,
  };
}

/** Whether /proc/PID here is the agent's /proc/PID: the same boot of the same kernel, the same pid namespace. */
export function isLocal(client: AgentClient): boolean {
  const { bootId, pidNamespace } = client.facts;
  try {
    return (
      bootId === readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() &&
      pidNamespace === readlinkSync('/proc/self/ns/pid')
    );
  } catch {
    return false;
  }
}
