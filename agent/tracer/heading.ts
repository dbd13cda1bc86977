/** What the note of a snapshot says beyond capture and facts: which point, which place, what was asked. */
import type { Capture, LoadedModule, ProcessFacts } from '../../format/capture.js';
import { AT, parseAuxv } from '../../format/core/auxv.js';
import type { SnapshotHeading } from '../../format/core/write.js';
import type { Plan } from '../../format/plan/plan.js';
import { readUserRegister } from '../../format/registers/x86-64.js';
import type { CapturedProcess } from './client.js';

export interface SnapshotContext {
  readonly snapshot: string;
  /** Empty for "now". */
  readonly point: string;
  readonly host: string;
  /** Undefined for "now". */
  readonly plan?: Plan;
}

export function makeHeading(
  { capture, facts }: Pick<CapturedProcess, 'capture' | 'facts'>,
  context: SnapshotContext,
): SnapshotHeading {
  const { plan, snapshot, point, host } = context;
  const module = plan === undefined ? executableOf(facts) : moduleOf(facts, plan);
  return {
    snapshot,
    point,
    host,
    buildId: module?.buildId ?? plan?.module.buildId ?? '',
    modulePath: module?.path ?? plan?.module.path ?? '',
    ...placeOf(plan, capture, module),
    request: plan?.request ?? { location: '', captures: [] },
  };
}

/** Of a watch, which is no place in code, where the thread stood after the write. */
function placeOf(
  plan: Plan | undefined,
  capture: Capture,
  module: LoadedModule | undefined,
): Pick<SnapshotHeading, 'location'> {
  const site = capture.site === undefined ? undefined : plan?.sites[capture.site];
  if (plan === undefined || site === undefined || module === undefined) return {};
  if (plan.watch !== undefined) {
    const registers = capture.threads.find(({ tid }) => tid === capture.tid)?.registers;
    if (registers === undefined) return {};
    return { location: { function: plan.request.location, address: readUserRegister(registers, 'rip') } };
  }
  return {
    location: {
      function: site.function,
      ...(site.file === undefined ? {} : { file: site.file }),
      ...(site.line === undefined ? {} : { line: site.line }),
      address: BigInt.asUintN(64, site.linkAddress + module.bias),
    },
  };
}

/** The module that the plan was made for: the same build id, the same path where several have it. */
function moduleOf(facts: ProcessFacts, plan: Plan): LoadedModule | undefined {
  const { buildId, path } = plan.module;
  const same = facts.modules.filter((module) =>
    buildId === '' ? module.path === path : module.buildId === buildId,
  );
  return same.find((module) => module.path === path) ?? same[0];
}

/** The module that holds the program headers that the kernel told the process of. */
function executableOf(facts: ProcessFacts): LoadedModule | undefined {
  const headers = parseAuxv(facts.auxv, `/proc/${facts.pid}/auxv`).get(AT.AT_PHDR);
  if (headers === undefined) return undefined;
  return facts.modules.find((module) => module.start <= headers && headers < module.end);
}
