/** From TARGET to processes, and from a process to the module that a location is in. */
import { StillframeError } from '../../format/error.js';
import { parseSelector } from '../../format/target-selector.js';
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentModule, AgentTarget, TargetFacts } from '../rpc/agent-facts.js';

/** What lists processes. */
export type TargetsAgent = Pick<AgentConversation, 'listTargets'>;

/**
 * Processes that fit, and (unless `refused`) may be looked into. Throws `not-found`, or `denied` when none of them can be
 * looked into.
 */
export async function findTargets(
  client: TargetsAgent,
  selector: string,
  options: { readonly refused?: boolean } = {},
): Promise<readonly AgentTarget[]> {
  // To the agent an empty selector means all processes: nobody who names none means that.
  if (selector.trim() === '') {
    throw new StillframeError('usage', 'cannot parse target "": it is empty', {
      hint: 'a target is a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME',
    });
  }
  const found = await client.listTargets(selector);
  if (found.length === 0) throw await noTarget(client, selector);
  if (options.refused === true) return found;
  const open = found.filter((target) => target.refusal === '');
  const [first] = found;
  if (open.length === 0 && first !== undefined) {
    throw new StillframeError(
      'denied',
      `cannot look into process ${first.pid} (${first.comm}): ${first.refusal}`,
      {
        detail: { pid: first.pid },
      },
    );
  }
  return open;
}

/** The one process that fits. Throws `ambiguous` with the candidates. */
export async function findTarget(client: TargetsAgent, selector: string): Promise<AgentTarget> {
  const [first, ...others] = await findTargets(client, selector);
  if (first !== undefined && others.length === 0) return first;
  const all = first === undefined ? others : [first, ...others];
  throw new StillframeError('ambiguous', `"${selector}" fits ${all.length} processes`, {
    candidates: all.map(describeTarget),
    hint: 'name one by its pid',
  });
}

const maxCandidates = 10;

async function noTarget(client: TargetsAgent, selector: string): Promise<StillframeError> {
  const what = /^\d+(@|$)/.test(selector)
    ? `there is no process ${selector}`
    : `no process fits "${selector}"`;
  const wanted = wantedName(selector);
  const near = (await client.listTargets())
    .filter((target) => isNear(wanted, target))
    .slice(0, maxCandidates)
    .map(describeTarget);
  return new StillframeError('not-found', what, {
    candidates: near,
    hint: '`stillframe targets` lists the processes that can be looked into',
  });
}

/** What a selector names, for `isNear`. */
export function wantedName(selector: string): string {
  return parseSelector(selector).value.toLowerCase();
}

/** Names that hold what was asked, or the other way round: `redis` for `redis-server`. */
export function isNear(wanted: string, target: AgentTarget): boolean {
  if (wanted.length < 3 || /^\d+$/.test(wanted)) return false;
  const names = [
    target.comm,
    target.executable.slice(target.executable.lastIndexOf('/') + 1),
    target.unit,
    target.service,
  ];
  return names.some((each) => {
    const name = each.toLowerCase();
    return name.length >= 3 && (name.includes(wanted) || wanted.includes(name));
  });
}

export function describeTarget(target: AgentTarget): string {
  return `${target.pid} ${target.comm} (${target.executable})`;
}

/** Splits `lib.so!function` into module and location. */
export function splitLocation(location: string): { readonly module?: string; readonly location: string } {
  const bang = location.indexOf('!');
  if (bang <= 0 || bang === location.length - 1) return { location };
  return { module: location.slice(0, bang), location: location.slice(bang + 1) };
}

/** The module of that name (path, file name, or file name up to `.so`), or the executable. Throws `not-found` with the candidates. */
export function chooseModule(facts: TargetFacts, name: string | undefined): AgentModule {
  const { target, modules } = facts;
  if (name === undefined) {
    const executable = executableOf(facts);
    if (executable !== undefined) return executable;
    throw new StillframeError(
      'not-found',
      `process ${target.pid} does not map its executable "${target.executable}"`,
      {
        detail: { pid: target.pid, file: target.executable },
      },
    );
  }
  const named = modules.filter((module) => {
    const base = baseName(module.path);
    return (
      module.path === name || base === name || base.startsWith(`${name}.so`) || base.startsWith(`${name}-`)
    );
  });
  const exact = named.find((module) => module.path === name || baseName(module.path) === name);
  const [first, ...others] = exact === undefined ? named : [exact];
  if (first !== undefined && others.length === 0) return first;
  const problem = first === undefined ? 'maps no module' : 'maps more than one module';
  throw new StillframeError(
    first === undefined ? 'not-found' : 'ambiguous',
    `process ${target.pid} ${problem} "${name}"`,
    {
      detail: { pid: target.pid },
      candidates: (first === undefined ? modules : named).map(({ path }) => path),
      ...(first === undefined ? { hint: laterHint } : {}),
    },
  );
}

const laterHint = 'a library that it loads later is named by the path of its file: /path/to/lib.so!function';

export function executableOf({ target, modules }: TargetFacts): AgentModule | undefined {
  const sameFile = modules.filter((module) => module.path === target.executable);
  return sameFile.find((module) => module.buildId === target.buildId) ?? sameFile[0];
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
