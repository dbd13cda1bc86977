/** The dry run of a point over a fleet: planned for the first build that can be, on the first host that has it. */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Fleet, FleetAgent } from '../fleet/fleet.js';
import { findInFleet, type FoundTarget } from '../fleet/target-search.js';
import type { Asker, ExplainOptions } from './controller-api.js';
import { measuredDocument, type ExplainDocument, type ExplainedTarget } from './documents.js';
import { chooseProcesses, maxTargets, planChosen, type ChosenProcess, type Planned } from './planning.js';
import type { SymbolAnswers } from './symbol-answers.js';

type LeftOut = ExplainedTarget & { readonly reason: string };

interface Chosen extends ChosenProcess {
  readonly agent: FleetAgent;
}

export async function explainInFleet(
  { fleet, symbols }: { readonly fleet: Fleet; readonly symbols: SymbolAnswers },
  options: ExplainOptions,
  { signal }: Asker,
): Promise<ExplainDocument> {
  const found = (await findInFleet(fleet, options.target)).slice(0, maxTargets);
  const leftOut: LeftOut[] = [];
  const { chosen, failure } = await choose(found, options.location, leftOut);
  const { planned, first } = await plan(chosen, options, symbols, failure);
  const { buildId } = planned.module;
  const targets: ExplainedTarget[] = [];
  for (const { agent, target, module } of chosen) {
    const named = nameOf(agent, target);
    if (module.buildId === buildId) targets.push(named);
    else leftOut.push({ ...named, reason: `it runs another build of "${module.path}"` });
  }
  const measured =
    options.measureMs === undefined
      ? undefined
      : await first.agent.client.measure(
          {
            pid: first.target.pid,
            plan: planned.encoded,
            durationMs: options.measureMs,
            engine: options.engine,
          },
          signal,
        );
  return {
    ...planned.explanation,
    targets,
    ...(leftOut.length === 0 ? {} : { leftOut }),
    ...(measured === undefined ? {} : { measured: measuredDocument(measured) }),
  };
}

/** The module of the location in each process; those without one are left out. */
async function choose(
  found: readonly FoundTarget<FleetAgent>[],
  location: string,
  leftOut: LeftOut[],
): Promise<{ readonly chosen: readonly Chosen[]; readonly failure: StillframeError | undefined }> {
  const agents = [...new Set(found.map(({ agent }) => agent))];
  const chosen: Chosen[] = [];
  let failure: StillframeError | undefined;
  for (const agent of agents) {
    // One by one: of each process it matters which build it runs, and not whether it is that of the first.
    for (const { target } of found.filter((each) => each.agent === agent)) {
      const outcome = await chooseProcesses(agent.client, [target], location);
      failure ??= outcome.refusal;
      chosen.push(...outcome.chosen.map((process) => ({ ...process, agent })));
      leftOut.push(...outcome.leftOut.map(({ reason }) => ({ ...nameOf(agent, target), reason })));
    }
  }
  return { chosen, failure };
}

/** Throws the first refusal when no build can be planned for. */
async function plan(
  chosen: readonly Chosen[],
  options: ExplainOptions,
  symbols: SymbolAnswers,
  refusal: StillframeError | undefined,
): Promise<{ readonly planned: Planned; readonly first: Chosen }> {
  let failure = refusal;
  for (const process of firstOfEachBuild(chosen)) {
    try {
      const only = { chosen: [process], leftOut: [], refusal: undefined };
      return { planned: await planChosen(process.agent.client, only, options, symbols), first: process };
    } catch (error) {
      failure ??= toStillframeError(error);
    }
  }
  throw failure ?? new StillframeError('not-found', `no process fits "${options.target}"`);
}

/** By host as well: the file of a build may be had for one host's processes, and not for another's. */
function firstOfEachBuild(chosen: readonly Chosen[]): readonly Chosen[] {
  const first = new Map<string, Chosen>();
  for (const process of chosen) {
    const key = `${process.agent.identity} ${process.module.buildId}`;
    if (!first.has(key)) first.set(key, process);
  }
  return [...first.values()];
}

const nameOf = (
  agent: FleetAgent,
  target: { readonly pid: number; readonly comm: string },
): ExplainedTarget => ({ host: agent.host, pid: target.pid, name: target.comm });
