/** What happened in an incident, in order: its events, and the snapshots of its points that no event speaks of. */
import { printable } from '../../format/printable.js';
import type { SnapshotRecord } from '../store/store.js';
import type { IncidentDocument, IncidentEvent } from './incident.js';

type TimelineEntry = IncidentDocument['timeline'][number];

export function timelineOf(
  events: readonly IncidentEvent[],
  snapshots: readonly SnapshotRecord[],
): TimelineEntry[] {
  const told = new Set(
    events.filter(({ kind }) => kind === 'snapshot').map(({ facts }) => facts['snapshot']),
  );
  // One that came while nobody wrote events down: after a restart, from an agent's spool.
  const untold = snapshots
    .filter(({ id }) => !told.has(id))
    .map((snapshot): IncidentEvent & { timeMs: number } => ({
      timeMs: Number(snapshot.timeNs / 1_000_000n),
      kind: 'snapshot',
      text: snapshotText(snapshot),
      facts: { snapshot: snapshot.id, point: snapshot.point },
    }));
  return merged(events, untold).map(({ timeMs, kind, text, facts }) => ({
    time: timeText(timeMs),
    kind,
    text,
    ...(Object.keys(facts).length === 0 ? {} : { facts }),
  }));
}

/** Events stay in the order they were written, whatever the clocks of hosts say; the others go to where their time is reached. */
function merged(events: readonly IncidentEvent[], others: readonly IncidentEvent[]): IncidentEvent[] {
  const all: IncidentEvent[] = [];
  const rest = others.toSorted((a, b) => a.timeMs - b.timeMs);
  let next = 0;
  for (const event of events) {
    for (; (rest[next]?.timeMs ?? Infinity) < event.timeMs; next++) all.push(...rest.slice(next, next + 1));
    all.push(event);
  }
  return [...all, ...rest.slice(next)];
}

export function snapshotText(snapshot: SnapshotRecord): string {
  const { id, comm, pid, host, file, line } = snapshot;
  const place = file === undefined ? '' : ` at ${file.slice(file.lastIndexOf('/') + 1)}:${line ?? '?'}`;
  const where = snapshot.function === undefined ? 'all threads' : `in ${snapshot.function}${place}`;
  return `snapshot ${id}: ${where}, ${comm} (pid ${pid}) on ${host}`;
}

/** RFC 3339; a time that no date holds is the nearest that one does. */
export function timeText(timeMs: number): string {
  const most = 8.64e15;
  return new Date(Number.isNaN(timeMs) ? 0 : Math.min(most, Math.max(-most, timeMs))).toISOString();
}

/** The whole document as lines for people, for a file that is read without us. */
export function timelineText(document: IncidentDocument): string {
  const { id, rule, trigger, state, started, closed, cause, labels } = document;
  const lines = [
    `incident ${id}  rule ${rule} (${trigger})  ${state}`,
    `started  ${started}`,
    ...(closed === undefined ? [] : [`closed   ${closed}`]),
    `cause    ${cause}`,
    ...Object.entries(labels).map(([name, value]) => `label    ${name} = ${value}`),
    '',
    ...document.timeline.map(({ time, kind, text }) => `${time}  ${kind.padEnd(9)}  ${text}`),
    ...document.points.flatMap(pointLines),
    ...document.groups.flatMap(groupLines),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function pointLines(point: IncidentDocument['points'][number]): string[] {
  const condition = point.condition === undefined ? '' : ` if ${point.condition}`;
  const hits = `${point.hits} hit${point.hits === 1 ? '' : 's'}`;
  const why = point.why === '' ? '' : `: ${point.why}`;
  return [
    '',
    `point ${point.id}  ${point.target} ${point.location}${condition}`,
    `  ${point.state}, ${hits}${why}`,
  ];
}

function groupLines(group: IncidentDocument['groups'][number], index: number): string[] {
  const { length } = group.snapshots;
  const lines = [
    '',
    `stack ${index + 1}  ${length} snapshot${length === 1 ? '' : 's'}: ${group.snapshots.join(' ')}`,
    ...group.stack.map((frame, i) => `  #${i} ${frame}`),
    ...group.same.map(({ name, text }) => `  same     ${name} = ${text}`),
    ...group.different.map(({ name, texts }) => `  differs  ${name} = ${distinct(texts).join(' | ')}`),
  ];
  return group.note === undefined ? lines : [...lines, `  (${group.note})`];
}

/** Each text once, with how often it is there, the most frequent first. */
export function distinct(texts: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
}
