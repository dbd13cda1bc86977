/**
 * A point of a fleet is tried at one agent first, and there in one process (the agent sees to that); at the others when it was borne there for as long as was asked.
 * Decides only, by what agents say; pure but for the point that it is about.
 */
import type { FleetCanary } from '../store/store.js';
import { isOver, type KeptPoint, type Place } from './kept-point.js';

export type CanaryVerdict =
  /** To be asked again. */
  | { readonly kind: 'waiting' }
  /** Somebody may resume it; its agent says why. Its time begins anew then. */
  | { readonly kind: 'suspended' }
  | { readonly kind: 'again' }
  | { readonly kind: 'borne' }
  /** Nothing was armed there after all: another host may be the first. */
  | { readonly kind: 'void' }
  | { readonly kind: 'failed'; readonly detail: string };

/** Whether it may be armed at an agent now; `begin` where it is to be tried there first. */
export function mayArm(point: KeptPoint, agent: string): 'yes' | 'begin' | 'no' {
  const { canary } = point;
  if ((point.record.terms?.canaryMs ?? 0) === 0 || !point.takesNewcomers || canary?.isOver === true)
    return 'yes';
  if (canary === undefined) return 'begin';
  return canary.agent === agent ? 'yes' : 'no';
}

export function canaryAt(point: KeptPoint, place: Place, nowMs: number): FleetCanary {
  const { agent, host } = place;
  return { agent, host, untilMs: nowMs + (point.record.terms?.canaryMs ?? 0), isOver: false };
}

/** Remembers of the point that a process was armed there: without, nothing was tried. */
export function judgeCanary(point: KeptPoint, canary: FleetCanary, nowMs: number): CanaryVerdict {
  const place = point.places.get(canary.agent);
  const armings = [...(place?.armings.values() ?? [])];
  const views = armings.flatMap(({ view }) => (view === undefined ? [] : [view]));
  // Its agent is not connected, or has not answered yet: nothing is known.
  if (views.length === 0) {
    const isRefused = place !== undefined && place.refusals.size > 0 && !place.open;
    return isRefused ? { kind: 'void' } : { kind: 'waiting' };
  }
  if (views.some(({ processes }) => processes.length > 0)) point.isCanaryArmed = true;
  const failed = views.find(({ phase, end }) => phase === 'failed' || end === 'target-gone');
  const gone = views.find(({ phase, processes }) => phase === 'pending' && processes.length === 0);
  const [lost] = [failed, gone].filter((view) => view !== undefined);
  if (lost !== undefined && !point.isCanaryArmed) return { kind: 'void' };
  if (lost !== undefined) return { kind: 'failed', detail: failure(canary, lost.why) };
  if (views.some(({ phase }) => phase === 'suspended')) return { kind: 'suspended' };
  if (canary.untilMs === 0) return { kind: 'again' };
  const isTried = views.some((view) => view.canary !== undefined);
  const isDone = views.every(isOver);
  return isDone || (nowMs >= canary.untilMs && !isTried) ? { kind: 'borne' } : { kind: 'waiting' };
}

function failure({ host }: FleetCanary, why: string): string {
  return `${why}; not armed at other hosts, for ${host} was the first`;
}

/** What is said while others wait for it. */
export function waitingText({ host, untilMs }: FleetCanary, hosts: number): string {
  const when =
    untilMs === 0
      ? 'when it was resumed'
      : `until ${new Date(untilMs).toISOString().replace(/\.\d+Z$/, 'Z')}`;
  return `canary at ${host} ${when}, then at ${hosts === 1 ? 'the other host' : `the other ${hosts} hosts`}`;
}
