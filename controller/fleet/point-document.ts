/** A kept point as people and programs see it: the document of `points`, with how it stands at each host. */
import { hex } from '../../format/address.js';
import type { PointDocument } from '../service/documents.js';
import { writesOf } from '../planner/watch.js';
import { cpuPart, optionalText } from '../service/documents.js';
import { canaryText } from '../../format/canary-text.js';
import type { AgentPoint } from '../rpc/agent-facts.js';
import type { ArmingRecord, PointRecord } from '../store/store.js';
import type { AgentStatus } from './fleet.js';
import { mayArm, waitingText } from './fleet-canary.js';
import { addHits, noHits } from './hit-count.js';
import { isOver, type KeptPoint, type Place } from './kept-point.js';
import { whyActive, whyAtHost, whyEnded, whyOver, type HostView, type WhyFacts } from './point-why.js';
import { keyOf } from './watches.js';

/** In a large fleet, hosts that merely wait for a process are told by their number. */
const maxIdleHosts = 20;

export function documentOf(point: KeptPoint, statuses: readonly AgentStatus[]): PointDocument {
  const hosts = hostViews(point, statuses);
  const telling = hosts.filter((host) => !isIdle(host));
  const shown = hosts.length > maxIdleHosts || !point.active ? telling : hosts;
  const facts = whyFacts(point, hosts);
  const armings = [...point.places.values()].flatMap((place) => [...place.armings.values()]);
  const refusals = new Set(armings.flatMap(({ view }) => view?.refusals ?? []));
  const engines = new Set(armings.flatMap(({ view }) => (view?.engine ? [view.engine] : [])));
  return {
    ...recordPart(point.record),
    state: point.phase,
    why: point.active ? whyActive(facts) : whyOfEnded(point, hosts),
    ...optionalText('end', point.ending?.end),
    engine: engines.size === 0 ? point.record.engine : [...engines].join(', '),
    processes: armings
      .flatMap(({ live, view }) => (live && view !== undefined ? view.processes : []))
      .map(({ pid, addresses }) => ({ pid, addresses: addresses.map(hex) })),
    ...countersPart(point.counters(), point.stored),
    ...(refusals.size === 0 ? {} : { refusals: [...refusals] }),
    hosts: shown.map((host) => ({
      host: host.host,
      state: stateOf(host, point.active),
      why: point.active ? whyAtHost(host, facts) : overAtHost(host),
      hits: Number(host.counters.hits),
    })),
  };
}

/** How it ended, to be written down: without what may still change. */
export function endedText(point: KeptPoint): string {
  return whyEnded(endingFacts(point));
}

/** The line of an active point. */
export function activeText(point: KeptPoint, statuses: readonly AgentStatus[]): string {
  return whyActive(whyFacts(point, hostViews(point, statuses)));
}

/** Of a point that is not in memory: it is over, and nothing of it is left anywhere. */
export function documentOfRecord(
  record: PointRecord,
  armings: readonly ArmingRecord[],
  count: { readonly stored: number; readonly surplus: number },
): PointDocument {
  const total = armings.reduce((sum, arming) => addHits(sum, arming.count.total), noHits);
  const byHost = new Map<string, bigint>();
  for (const { host, count: own } of armings) byHost.set(host, (byHost.get(host) ?? 0n) + own.total.hits);
  const ended = { detail: record.status.why, final: true, counters: total, hasCondition: false };
  const more = { surplus: count.surplus, open: [], expires: '', isExpired: true };
  return {
    ...recordPart(record),
    state: record.status.phase,
    why: whyOver({ ...ended, ...more }),
    ...optionalText('end', record.status.end),
    engine: record.engine,
    processes: [],
    ...countersPart(total, count.stored),
    hosts: [...byHost].map(([host, hits]) => ({
      host,
      state: 'ended',
      why: 'nothing of it is left there',
      hits: Number(hits),
    })),
  };
}

function recordPart(record: PointRecord) {
  return {
    id: record.id,
    target: record.target,
    location: record.watch === undefined ? record.location : writesOf(record.location, record.watch),
    ...(record.condition === undefined ? {} : { condition: record.condition }),
    captures: record.captures,
    maxHits: record.maxHits,
    created: new Date(record.createdMs).toISOString(),
    expires: new Date(record.expiresMs).toISOString(),
    ...cpuPart(record.terms?.cpuPercent),
    kind: record.kind,
    ...optionalText('owner', record.owner),
    ...optionalText('note', record.note),
    ...optionalText('incident', record.incident),
  };
}

function countersPart(counters: HostView['counters'], stored: number) {
  return {
    hits: Number(counters.hits),
    conditionFalse: Number(counters.conditionFalse),
    faults: Number(counters.faults),
    dropped: Number(counters.dropped),
    delivered: stored,
    ...(counters.undecided === undefined ? {} : { undecided: Number(counters.undecided) }),
  };
}

function whyFacts(point: KeptPoint, hosts: readonly HostView[]): WhyFacts {
  const { record, stored, canary } = point;
  const waiting = hosts.filter((host) => host.isWaiting === true).length;
  return {
    target: record.target,
    kind: record.kind,
    hosts,
    counters: point.counters(),
    hasCondition: record.condition !== undefined,
    maxHits: record.maxHits,
    everyProcess: record.everyProcess,
    stored,
    ...(canary === undefined || waiting === 0 ? {} : { canary: waitingText(canary, waiting) }),
  };
}

function endingFacts(point: KeptPoint) {
  return {
    detail: point.ending?.detail ?? '',
    final: point.ending?.final ?? true,
    counters: point.counters(),
    hasCondition: point.record.condition !== undefined,
    surplus: point.surplus,
    expires: new Date(point.record.expiresMs).toISOString(),
    isExpired: Date.now() >= point.record.expiresMs,
  };
}

function whyOfEnded(point: KeptPoint, hosts: readonly HostView[]): string {
  return whyOver({ ...endingFacts(point), open: hosts.filter(({ open }) => open) });
}

/** A view for each agent that the selector allows, and for each that has something of the point. */
function hostViews(point: KeptPoint, statuses: readonly AgentStatus[]): HostView[] {
  const views: HostView[] = [];
  const seen = new Set<string>();
  for (const status of statuses) {
    seen.add(status.identity);
    const place = point.places.get(status.identity);
    if (place === undefined && !mayBe(point, status)) continue;
    views.push(hostView(point, place, status));
  }
  for (const [identity, place] of point.places) {
    if (seen.has(identity)) continue;
    const status = {
      host: place.host,
      connected: false,
      error: 'it has not been here since this controller started',
    };
    views.push(hostView(point, place, status));
  }
  return views.toSorted((a, b) => (a.host < b.host ? -1 : 1));
}

/** NB: two hosts of the same name are told apart by a number, and `@name` means both. */
function mayBe({ selector }: KeptPoint, { host }: AgentStatus): boolean {
  return selector.host === undefined || selector.host === host || selector.host === host.replace(/#\d+$/, '');
}

function hostView(
  point: KeptPoint,
  place: Place | undefined,
  status: Pick<AgentStatus, 'host' | 'connected' | 'error'>,
): HostView {
  const armings = [...(place?.armings.values() ?? [])];
  const views = armings.flatMap(({ view }) => (view === undefined ? [] : [view]));
  return {
    host: status.host,
    connected: status.connected,
    error: status.error ?? '',
    processes: place?.targets.size ?? 0,
    armed: views
      .filter(({ phase }) => phase === 'armed')
      .flatMap(({ processes, engine }) =>
        processes.map(({ pid, addresses }) => ({ pid, addresses: addresses.length, engine })),
      ),
    suspended: views.filter(({ phase }) => phase === 'suspended').map(({ why }) => why),
    refused: place === undefined ? [] : refusedIn(place),
    over: armings
      .filter(({ state, view }) => state === 'given-up' && (view === undefined || isOver(view)))
      .map(({ why }) => why),
    unwatched: place?.watchDetail ?? '',
    counters: place?.counters() ?? noHits,
    ...optionalText(
      'undecidedWhy',
      views.find(({ counters }) => counters.undecidedWhy)?.counters.undecidedWhy,
    ),
    ...optionalText('canary', canaryOf(views)),
    isWaiting: isWaiting(point, place),
    open: place?.open ?? false,
    wasArmed: armings.length > 0,
  };
}

function canaryOf(views: readonly AgentPoint[]): string | undefined {
  const canary = views.find((view) => view.canary !== undefined)?.canary;
  return canary === undefined ? undefined : canaryText(canary);
}

/** There are processes of it, and it is tried somewhere else first. */
function isWaiting(point: KeptPoint, place: Place | undefined): boolean {
  return place !== undefined && point.active && place.targets.size > 0 && mayArm(point, place.agent) === 'no';
}

/** Of processes that are there now; the process itself is not named, so that the same reason is the same text. */
function refusedIn(place: Place): HostView['refused'] {
  const reasons = new Map<string, number>();
  const add = (message: string, pid: number): void => {
    const reason = message
      .replace(`cannot arm the point in process ${pid}: `, '')
      .replace(`process ${pid} `, 'it ');
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  };
  for (const { target, buildId, refusal } of place.targets.values()) {
    if (refusal !== undefined) {
      add(refusal.error.message, target.pid);
      continue;
    }
    const ofBuild = buildId === undefined ? undefined : place.refusals.get(buildId);
    if (ofBuild?.keys.has(keyOf(target)) === true) add(ofBuild.error.message, target.pid);
  }
  return [...reasons].map(([reason, processes]) => ({ reason, processes }));
}

function isIdle(host: HostView): boolean {
  return (
    host.connected &&
    !host.wasArmed &&
    host.processes + host.armed.length + host.suspended.length + host.over.length === 0 &&
    host.unwatched === ''
  );
}

function stateOf(host: HostView, active: boolean): string {
  if (!active) return host.open ? 'removing' : 'ended';
  if (!host.connected) return 'not-connected';
  if (host.armed.length > 0) return 'armed';
  if (host.suspended.length > 0) return 'suspended';
  if (host.over.length > 0) return 'ended';
  return host.refused.length > 0 ? 'refused' : 'pending';
}

function overAtHost(host: HostView): string {
  if (!host.open) return 'nothing of it is left there';
  return host.connected ? 'it is being removed' : `still armed there: not connected: ${host.error}`;
}
