/**
 * One step of an open incident: a snapshot point set, or all threads of processes taken. What is about to be done is written down before, so
 * that a controller that was killed in between neither does it twice nor forgets it.
 */
import { toStillframeError } from '../../format/error.js';
import type { Points, PointSpec } from '../fleet/points.js';
import type { ControllerApi } from '../service/controller-api.js';
import type { PointDocument, TargetDocument } from '../service/documents.js';
import type { CaptureBounds } from '../service/planning.js';
import type { Clock } from './clock.js';
import type { IncidentEvent } from './incident.js';
import { ownerOf } from './rule.js';
import { changeStep, changeIncident } from './rule-engine.js';
import type { RuleMemory } from './rule-memory.js';
import { describeStep } from './rule-plan.js';
import type { FilledNow, FilledSnapshot, StepRun, StoredBounds } from './rule-state.js';
import { within } from './within.js';

export interface StepContext {
  readonly memory: RuleMemory;
  readonly points: Points;
  readonly api: Pick<ControllerApi, 'targets' | 'now'>;
  readonly clock: Clock;
  /** Adds an event to the incident. */
  readonly tell: (kind: IncidentEvent['kind'], text: string, facts?: IncidentEvent['facts']) => void;
  /** Whether the incident is still open, and is not about to be closed. */
  readonly goesOn: () => boolean;
  /** Whether this controller ends: what is under way is left as it is, for the next one to take up. */
  readonly isOver: () => boolean;
  /** Tells somebody outside of a snapshot. */
  readonly notifySnapshot: (snapshot: string) => void;
  readonly pointSet: (point: PointDocument) => void;
}

const armTimeoutMs = 60_000;
const nowTimeoutMs = 60_000;
/** All threads a minute later are not what the firing was about. */
const maxNowDelayMs = 60_000;

/** The step at `index` of the incident; it waits. Never throws what the step itself meets. */
export async function runStep(context: StepContext, index: number): Promise<void> {
  const { memory, tell, goesOn, isOver } = context;
  const run = memory.state.incident?.steps[index];
  if (run === undefined) return;
  const { step } = run;
  try {
    memory.write(changeStep(memory.state, index, { state: 'started' }));
    const text =
      step.kind === 'snapshot'
        ? await setPoint(context, index, step)
        : await takeThreads(context, index, { ...run, step });
    if (isOver() || !goesOn()) return;
    memory.write(changeStep(memory.state, index, { state: 'done', text }));
  } catch (error) {
    if (isOver() || !goesOn()) return;
    const { message, code } = toStillframeError(error);
    const text = `step ${index + 1} failed: ${describeStep(step)}: ${message}`;
    memory.atomically(() => {
      memory.write(changeStep(memory.state, index, { state: 'failed', text }));
      tell('failed', text, { step: index + 1, code });
    });
  }
}

/** How a step that was begun by a controller that is no more goes on. */
export function resumeStep(run: StepRun, openedMs: number, nowMs: number): StepRun {
  if (run.state !== 'started') return run;
  if (run.step.kind === 'snapshot' || nowMs - openedMs <= maxNowDelayMs) return { ...run, state: 'waiting' };
  return {
    ...run,
    state: 'failed',
    text: `${describeStep(run.step)}: interrupted, the controller was restarted`,
  };
}

const noteOf = (rule: string, index: number): string => `step ${index + 1} of rule ${rule}`;

async function setPoint(context: StepContext, index: number, step: FilledSnapshot): Promise<string> {
  const { memory, points, clock, tell, goesOn, isOver, pointSet } = context;
  const { incident } = memory.state;
  if (incident === null) return '';
  const spec: PointSpec = {
    kind: 'snapshot',
    target: step.target,
    location: step.location,
    ...(step.condition === undefined ? {} : { condition: step.condition }),
    captures: step.captures,
    engine: step.engine,
    bounds: boundsOf(step.bounds),
    maxHits: Math.max(1, Math.min(step.hits, incident.hits - incident.counted.length)),
    everyProcess: step.everyProcess,
    minIntervalNs: BigInt(step.everyMs) * 1_000_000n,
    expiresMs: incident.expiresMs,
    owner: ownerOf(memory.rule),
    note: noteOf(memory.rule, index),
    incident: incident.id,
  };
  const kept = points.list().find((point) => point.incident === incident.id && point.note === spec.note);
  const setting = kept === undefined ? points.set(spec, { strict: true }) : Promise.resolve(kept);
  const what = `setting a point at ${step.location}`;
  let point: PointDocument;
  try {
    point = await within(setting, { ms: armTimeoutMs, clock, what });
  } catch (error) {
    // Should it be set after all, nobody wants it any more.
    void setting.then((late) => points.remove(late.id, 'it was set too late')).catch(() => undefined);
    throw error;
  }
  if (isOver()) return '';
  if (!goesOn()) {
    await points.remove(point.id, 'its incident ended meanwhile');
    return '';
  }
  const text = `point ${point.id}: ${describeStep(step)}: ${point.why === '' ? point.state : point.why}`;
  memory.atomically(() => {
    memory.write(changeStep(memory.state, index, { state: 'done', text, point: point.id }));
    tell('armed', text, { step: index + 1, point: point.id, target: step.target, location: step.location });
  });
  pointSet(point);
  return text;
}

async function takeThreads(
  context: StepContext,
  index: number,
  run: StepRun & { readonly step: FilledNow },
): Promise<string> {
  const { memory, api, clock, tell, goesOn, isOver } = context;
  const { step } = run;
  const begun = new Set(run.begun);
  const what = `asking for the processes of ${step.target}`;
  const found = await within(api.targets(step.target), { ms: nowTimeoutMs, clock, what });
  if (isOver()) return '';
  const open = found.filter(({ refusal }) => refusal === undefined);
  const chosen = open.filter((target) => !begun.has(nameOf(target))).slice(0, step.processes - begun.size);
  if (chosen.length === 0 && begun.size === 0) {
    throw toStillframeError(new Error(found[0]?.refusal ?? `no process fits "${step.target}"`));
  }
  const taken: string[] = [];
  let failure: unknown;
  for (const target of chosen) {
    const name = nameOf(target);
    begun.add(name);
    memory.write(changeStep(memory.state, index, { begun: [...begun] }));
    try {
      const order = { target: name, tids: [], engine: step.engine, bounds: boundsOf(step.bounds) };
      const taking = api.now(order);
      const { id } = await within(taking, { ms: nowTimeoutMs, clock, what: `taking the threads of ${name}` });
      if (isOver()) return '';
      taken.push(name);
      memory.atomically(() => {
        memory.write(changeIncident(memory.state, ({ taken: count }) => ({ taken: count + 1 })));
        const facts = { step: index + 1, snapshot: id, pid: target.pid, host: target.host ?? '' };
        context.notifySnapshot(id);
        tell('snapshot', `snapshot ${id}: all threads of ${target.name} (${name})`, facts);
      });
    } catch (error) {
      if (isOver()) return '';
      failure ??= error;
      tell('failed', `cannot take all threads of ${name}: ${toStillframeError(error).message}`, {
        step: index + 1,
      });
    }
    if (!goesOn()) return '';
  }
  if (taken.length === 0) {
    throw toStillframeError(failure ?? new Error('interrupted, the controller was restarted'));
  }
  const left = open.length - begun.size;
  const more = left > 0 ? `; ${left} more fit` : '';
  const text = `took all threads of ${taken.join(', ')}${more}`;
  tell('armed', text, { step: index + 1, processes: taken.length });
  return text;
}

/** A target that means this process and no other. */
function nameOf({ pid, host }: TargetDocument): string {
  return host === undefined ? String(pid) : `${pid}@${host}`;
}

function boundsOf(bounds: StoredBounds): CaptureBounds {
  const { depth, stackBytes, bytes } = bounds;
  return {
    ...(depth === undefined ? {} : { depth }),
    ...(stackBytes === undefined ? {} : { stackBytes }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}
