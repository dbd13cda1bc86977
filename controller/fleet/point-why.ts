/**
 * "Why have you not fired?" of a point over a fleet: one line from what is known of each host. Always true, never a guess; what is the
 * same at several hosts is said once. Pure.
 */
import type { HitCounters } from '../store/store.js';

export interface HostView {
  readonly host: string;
  readonly connected: boolean;
  /** Why it is not connected. */
  readonly error: string;
  /** Processes there that fit. */
  readonly processes: number;
  readonly armed: readonly { readonly pid: number; readonly addresses: number; readonly engine: string }[];
  /** Why it is suspended there. */
  readonly suspended: readonly string[];
  readonly refused: readonly { readonly processes: number; readonly reason: string }[];
  /** How it ended there while it was wanted. */
  readonly over: readonly string[];
  /** Why processes are not watched there. */
  readonly unwatched: string;
  readonly counters: HitCounters;
  /** Why it could not be told of the last hit whether the condition holds. */
  readonly undecidedWhy?: string;
  /** A probe may be left there. */
  readonly open: boolean;
  /** Said of the process that it is tried in there first. */
  readonly canary?: string;
  /** It waits for the host where it is tried first. */
  readonly isWaiting?: boolean;
  /** It has been armed there, or was about to be. */
  readonly wasArmed: boolean;
}

export interface WhyFacts {
  /** TARGET as it was given. */
  readonly target: string;
  readonly kind: 'snapshot' | 'count';
  readonly hosts: readonly HostView[];
  readonly counters: HitCounters;
  readonly hasCondition: boolean;
  readonly maxHits: number;
  readonly everyProcess: boolean;
  readonly stored: number;
  /** Said of the host where it is tried first, while others wait. */
  readonly canary?: string;
}

/** Clauses beyond the first few say less than they cost to read: `points ID` has all hosts. */
const maxClauses = 4;
const maxNamed = 3;

export function whyActive(facts: WhyFacts): string {
  const { hosts } = facts;
  const clauses: string[] = [];
  const armed = hosts.filter((host) => host.armed.length > 0);
  if (armed.length > 0) clauses.push(armedClause(facts, armed));
  clauses.push(
    ...shared(
      hosts,
      ({ canary }) => (canary === undefined ? [] : [canary]),
      (at, text) => `${text} at ${at}`,
    ),
  );
  if (facts.canary !== undefined) clauses.push(facts.canary);
  clauses.push(
    ...shared(
      hosts,
      ({ suspended }) => suspended,
      (at, why) => `suspended at ${at}: ${why}`,
    ),
  );
  clauses.push(...refusedClauses(hosts));
  clauses.push(
    ...shared(
      hosts,
      ({ over }) => over,
      (at, why) => `ended at ${at}: ${why}`,
    ),
  );
  if (armed.length === 0) {
    const idle = idleClause(facts);
    if (idle !== undefined) clauses.push(idle);
  }
  clauses.push(
    ...shared(
      hosts,
      ({ unwatched, connected }) => (unwatched === '' || !connected ? [] : [unwatched]),
      (at, why) => `processes at ${at} are looked for now and then only: ${why}`,
    ),
  );
  const missing = hosts.filter(({ connected }) => !connected);
  clauses.push(
    ...missing.slice(0, maxNamed).map(({ host, error }) => `agent ${host} is not connected: ${error}`),
  );
  if (missing.length > maxNamed) clauses.push(`${missing.length - maxNamed} more agents are not connected`);
  if (clauses.length === 0) return 'no agent is connected';
  const shown = clauses.slice(0, maxClauses);
  if (clauses.length > maxClauses) shown.push(`and ${clauses.length - maxClauses} more`);
  return shown.join('; ');
}

export interface OverFacts {
  readonly detail: string;
  /** The detail says the hits itself. */
  readonly final: boolean;
  readonly counters: HitCounters;
  readonly hasCondition: boolean;
  readonly surplus: number;
  /** Hosts that may still hold a probe. */
  readonly open: readonly Pick<HostView, 'host' | 'connected'>[];
  readonly expires: string;
  readonly isExpired: boolean;
}

/** How it ended, without what may still change. */
export function whyEnded({ detail, final, counters, hasCondition }: Omit<OverFacts, 'open'>): string {
  return final || counters.hits === 0n ? detail : `${detail} (${hitsOf(counters, hasCondition)})`;
}

export function whyOver(facts: OverFacts): string {
  const clauses = [whyEnded(facts)];
  if (facts.surplus > 0) {
    clauses.push(`${facts.surplus} more came and ${facts.surplus === 1 ? 'was' : 'were'} not kept`);
  }
  const here = facts.open.filter(({ connected }) => connected);
  if (here.length > 0) clauses.push(`it is being removed at ${names(here)}`);
  const away = facts.isExpired ? [] : facts.open.filter(({ connected }) => !connected);
  if (away.length > 0) {
    const [one] = away;
    const who = away.length === 1 ? (one?.host ?? '') : 'they';
    clauses.push(
      `still armed at ${names(away)}, which ${away.length === 1 ? 'is' : 'are'} not connected: it goes there when ${who} ${away.length === 1 ? 'comes' : 'come'} back, or expires at ${facts.expires}`,
    );
  }
  return clauses.join('; ');
}

/** The line of one host. */
export function whyAtHost(host: HostView, facts: Pick<WhyFacts, 'target' | 'hasCondition'>): string {
  if (!host.connected) return `not connected: ${host.error}`;
  const clauses: string[] = [];
  if (host.armed.length > 0) {
    const engines = [...new Set(host.armed.map(({ engine }) => engine))].join(', ');
    clauses.push(
      `armed at ${addressesOf(host.armed)} in ${processesOf(host.armed)} by ${engines}: ${passed(host.counters, facts.hasCondition, host.undecidedWhy)}`,
    );
  }
  if (host.canary !== undefined) clauses.push(host.canary);
  if (host.isWaiting === true) clauses.push('waits for the host where it is tried first');
  clauses.push(...host.suspended.map((why) => `suspended: ${why}`));
  clauses.push(
    ...host.refused.map(
      ({ processes, reason }) => `cannot arm in ${count(processes, 'process', 'processes')}: ${reason}`,
    ),
  );
  clauses.push(...host.over);
  if (host.unwatched !== '') clauses.push(`processes are looked for now and then only: ${host.unwatched}`);
  if (clauses.length > 0) return clauses.join('; ');
  return host.processes === 0
    ? `no process fits ${facts.target} yet`
    : `looking at ${count(host.processes, 'process', 'processes')}`;
}

function armedClause(facts: WhyFacts, hosts: readonly HostView[]): string {
  const { counters, kind, stored, maxHits, everyProcess, hasCondition } = facts;
  const armed = hosts.flatMap((host) => host.armed);
  const engines = [...new Set(armed.map(({ engine }) => engine))].join(', ');
  const where = `armed at ${addressesOf(armed)} in ${processesOf(armed)} at ${names(hosts)} by ${engines}`;
  const of = everyProcess ? `${stored} delivered` : `${stored} of ${maxHits} delivered`;
  const delivered = kind === 'snapshot' && stored > 0 ? `, ${of}` : '';
  const undecidedWhy = hosts.find((host) => host.undecidedWhy !== undefined)?.undecidedWhy;
  return `${where}: ${passed(counters, hasCondition, undecidedWhy)}${delivered}`;
}

function passed(counters: HitCounters, hasCondition: boolean, undecidedWhy?: string): string {
  return counters.hits === 0n
    ? '0 hits, no thread has passed there yet'
    : hitsOf(counters, hasCondition, undecidedWhy);
}

function hitsOf(counters: HitCounters, hasCondition: boolean, undecidedWhy?: string): string {
  const parts = [count(counters.hits, 'hit', 'hits')];
  if (hasCondition) parts.push(`condition false ${count(counters.conditionFalse, 'time', 'times')}`);
  if (counters.faults > 0n) parts.push(`memory not readable ${count(counters.faults, 'time', 'times')}`);
  const { undecided = 0n } = counters;
  if (undecided > 0n) {
    const last = undecidedWhy === undefined ? '' : ` (last: ${undecidedWhy})`;
    parts.push(`condition not decided ${count(undecided, 'time', 'times')}${last}`);
  }
  if (counters.dropped > 0n) parts.push(`${counters.dropped} lost for want of room`);
  return parts.join(', ');
}

function idleClause({ target, hosts }: WhyFacts): string | undefined {
  const connected = hosts.filter((host) => host.connected);
  const looked = connected.filter((host) => host.processes > 0);
  if (looked.length === 0) {
    if (connected.length === 0) return undefined;
    const [one] = connected;
    const where =
      connected.length > 1
        ? ` on any of ${connected.length} hosts`
        : target.endsWith(`@${one?.host ?? ''}`)
          ? ''
          : ` at ${one?.host ?? ''}`;
    return `no process fits ${target}${where} yet`;
  }
  const waiting = looked.filter(
    ({ refused, suspended, over }) => refused.length + suspended.length + over.length === 0,
  );
  if (waiting.length === 0) return undefined;
  const processes = waiting.reduce((sum, host) => sum + host.processes, 0);
  return `looking at ${count(processes, 'process', 'processes')} at ${names(waiting)}`;
}

function refusedClauses(hosts: readonly HostView[]): string[] {
  const byReason = new Map<string, { processes: number; at: HostView[] }>();
  for (const host of hosts) {
    for (const { processes, reason } of host.refused) {
      const known = byReason.get(reason) ?? { processes: 0, at: [] };
      known.processes += processes;
      known.at.push(host);
      byReason.set(reason, known);
    }
  }
  return [...byReason].map(
    ([reason, { processes, at }]) =>
      `cannot arm in ${count(processes, 'process', 'processes')} at ${names(at)}: ${reason}`,
  );
}

/** A clause for each text that hosts say, with all hosts that say it. */
function shared(
  hosts: readonly HostView[],
  texts: (host: HostView) => readonly string[],
  clause: (at: string, text: string) => string,
): string[] {
  const byText = new Map<string, HostView[]>();
  for (const host of hosts) {
    for (const text of texts(host)) byText.set(text, [...(byText.get(text) ?? []), host]);
  }
  return [...byText].map(([text, at]) => clause(names(at), text));
}

function names(hosts: readonly Pick<HostView, 'host'>[]): string {
  const shown = hosts.slice(0, maxNamed).map(({ host }) => host);
  return hosts.length > maxNamed
    ? `${shown.join(', ')} and ${hosts.length - maxNamed} more`
    : shown.join(', ');
}

function addressesOf(armed: HostView['armed']): string {
  return count(
    armed.reduce((sum, { addresses }) => sum + addresses, 0),
    'address',
    'addresses',
  );
}

function processesOf(armed: HostView['armed']): string {
  const [first] = armed;
  return armed.length === 1 && first !== undefined ? `process ${first.pid}` : `${armed.length} processes`;
}

function count(number: number | bigint, one: string, many: string): string {
  return `${number} ${BigInt(number) === 1n ? one : many}`;
}
