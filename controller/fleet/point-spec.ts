/** A request for a point before any process is known: what can be said of it, and how it is kept. */
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import { maxCanaryMs } from '../../format/point-terms.js';
import { parseSelector, selectorHint } from '../../format/target-selector.js';
import { parseLocation } from '../planner/location.js';
import { splitLocation } from '../service/targets.js';
import type { PointRecord } from '../store/store.js';
import type { PointSpec } from './points.js';

const maxText = 4096;
const maxCaptures = 100;
const maxOwner = 256;

/** Throws `usage`. */
export function checkSpec(spec: PointSpec): void {
  const { target, location, condition, captures, owner, note, watch } = spec;
  const { kind } = parseSelector(target);
  if (kind === 'any') {
    throw new StillframeError(
      'usage',
      `cannot set a point in all processes of a host: "${target}" is too wide`,
      {
        hint: selectorHint,
      },
    );
  }
  checkLength('the target', target, maxText);
  checkLength('the location', location, maxText);
  if (condition !== undefined) checkLength('the condition', condition, maxText);
  for (const capture of captures) checkLength('a capture', capture, maxText);
  checkLength('the owner', owner, maxOwner);
  checkLength('the note', note, maxText);
  if (captures.length > maxCaptures)
    refuse(`${captures.length} captures are asked for, ${maxCaptures} are the most`);
  // What is watched is an expression, which means something where types are known.
  if (watch === undefined) parseLocation(splitLocation(location).location);
  checkNumbers(spec);
}

function checkNumbers({ maxHits, minIntervalNs, expiresMs, kind, captures, terms }: PointSpec): void {
  const { canaryMs = 0, cpuPercent = 1 } = terms ?? {};
  if (!Number.isInteger(canaryMs) || canaryMs < 0 || canaryMs > maxCanaryMs) {
    refuse(`its canary must take from 0 to 24 hours, not ${canaryMs} ms`);
  }
  if (!(cpuPercent > 0 && cpuPercent <= maxCpuPercent)) {
    refuse(
      `what it may take of a CPU must be more than 0% and at most ${maxCpuPercent}%, not ${cpuPercent}%`,
    );
  }
  if (!Number.isInteger(maxHits) || maxHits < 1 || maxHits > defaultLimits.maxHits) {
    refuse(`its hits must be from 1 to ${defaultLimits.maxHits}, not ${maxHits}`);
  }
  if (minIntervalNs < 0n || minIntervalNs >= 1n << 63n) {
    refuse(`the interval between hits must be from 0 to 2^63 ns, not ${minIntervalNs}`);
  }
  const nowMs = Date.now();
  if (!Number.isSafeInteger(expiresMs) || expiresMs <= nowMs) refuse('it would expire before it is set');
  if (expiresMs > nowMs + defaultLimits.maxExpiryMs + slackMs) refuse('it must expire within 30 days');
  if (kind === 'count' && captures.length > 0) refuse('a point that counts captures nothing');
}

const maxCpuPercent = 100_000;

/** What passes between the moment that a caller counts from and this one. */
const slackMs = 60_000;

function checkLength(what: string, text: string, most: number): void {
  if (text.length > most) refuse(`${what} is longer than ${most} characters`);
}

function refuse(problem: string): never {
  throw new StillframeError('usage', `cannot set a point: ${problem}`);
}

/** As it is kept: without a plan, which is made for each build, and without a process, which may come later. */
export function recordOf(spec: PointSpec, id: string, createdMs: number): PointRecord {
  return {
    id,
    createdMs,
    target: spec.target,
    location: spec.location,
    ...(spec.condition === undefined ? {} : { condition: spec.condition }),
    captures: spec.captures,
    engine: spec.engine,
    maxHits: spec.maxHits,
    minIntervalNs: spec.minIntervalNs,
    expiresMs: spec.expiresMs,
    agent: '',
    pids: [],
    modulePath: '',
    buildId: '',
    plan: new Uint8Array(),
    status: { phase: 'pending', why: 'not armed yet' },
    kind: spec.kind,
    everyProcess: spec.everyProcess,
    bounds: spec.bounds,
    owner: spec.owner,
    note: spec.note,
    ...(spec.incident === undefined ? {} : { incident: spec.incident }),
    ...(spec.terms === undefined ? {} : { terms: spec.terms }),
    ...(spec.watch === undefined ? {} : { watch: spec.watch }),
  };
}
