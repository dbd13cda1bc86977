/** Incidents as people read them: what fired, what happened then, which stacks came of it, what their snapshots differ in. */
import type { IncidentDocument, IncidentSummary, StackGroup } from '../automation/incident.js';
import { clean, colors, plural } from './style.js';
import { renderTable } from './table.js';

const maxCauseLength = 80;
const maxFactLength = 24;

export function renderIncidents(incidents: readonly IncidentSummary[]): string {
  if (incidents.length === 0) return 'no incidents';
  const rows = incidents.map((incident) => [
    clean(incident.id),
    clean(incident.started).replace(/\.\d+/, ''),
    clean(incident.rule),
    incident.state === 'open' ? colors.yellow('open') : clean(incident.state),
    String(incident.snapshots),
    String(incident.stacks),
    shortened(clean(incident.cause), maxCauseLength),
  ]);
  return renderTable(['ID', 'STARTED', 'RULE', 'STATE', 'SNAPSHOTS', 'STACKS', 'CAUSE'], rows);
}

export function renderIncident(incident: IncidentDocument): string {
  return [
    heading(incident),
    timeline(incident),
    ...(incident.points.length === 0 ? [] : [points(incident)]),
    groups(incident.groups),
  ].join('\n\n');
}

function heading(incident: IncidentDocument): string {
  const state =
    incident.closed === undefined
      ? colors.yellow(clean(incident.state))
      : `${clean(incident.state)} ${offset(incident.started, incident.closed)}`;
  const labels = Object.entries(incident.labels).map(([name, value]) => `${clean(name)}=${clean(value)}`);
  return [
    `${colors.bold(`incident ${clean(incident.id)}`)}  rule ${colors.bold(clean(incident.rule))}  ${state}`,
    `${clean(incident.started)}  ${clean(incident.trigger)}: ${clean(incident.cause)}`,
    ...(labels.length === 0 ? [] : [colors.dim(labels.join(' '))]),
  ].join('\n');
}

function timeline({ timeline: events, started }: IncidentDocument): string {
  const width = Math.max(0, ...events.map(({ kind }) => kind.length));
  const rows = events.map(({ time, kind, text, facts }) => {
    // What the line says already is not said again.
    const numbers = Object.entries(facts ?? {})
      .map(([name, value]) => [name, String(value)] as const)
      .filter(([, value]) => value.length <= maxFactLength && !text.includes(value))
      .map(([name, value]) => `${clean(name)}=${clean(value)}`);
    const beside = numbers.length === 0 ? '' : `  ${colors.dim(numbers.join(' '))}`;
    return `  ${offset(started, time).padStart(9)}  ${kindText(kind.padEnd(width))}  ${clean(text)}${beside}`;
  });
  return [colors.bold('timeline'), ...rows].join('\n');
}

function kindText(kind: string): string {
  const color = /^(?:failed|bound)/.test(kind) ? colors.yellow : colors.cyan;
  return color(clean(kind));
}

/** `+1.204 s`, since the incident began. */
function offset(started: string, time: string): string {
  const ms = Date.parse(time) - Date.parse(started);
  if (Number.isNaN(ms)) return clean(time);
  const sign = ms < 0 ? '-' : '+';
  const seconds = Math.abs(ms) / 1000;
  if (seconds < 100) return `${sign}${seconds.toFixed(3)} s`;
  return `${sign}${Math.floor(seconds / 60)}m${String(Math.floor(seconds % 60)).padStart(2, '0')}s`;
}

function points({ points: list }: IncidentDocument): string {
  const rows = list.flatMap((point) => {
    const condition = point.condition === undefined ? '' : ` if ${clean(point.condition)}`;
    const where = `${clean(point.location)} in ${clean(point.target)}${condition}`;
    return [
      `  ${clean(point.id)}  ${clean(point.state)}  ${where}`,
      `    ${plural(point.hits, 'hit')}: ${clean(point.why)}`,
    ];
  });
  return [colors.bold('points'), ...rows].join('\n');
}

function groups(list: readonly StackGroup[]): string {
  const count = list.reduce((sum, { snapshots }) => sum + snapshots.length, 0);
  if (count === 0) return `${colors.bold('stacks')}  no snapshots`;
  const title = `${colors.bold('stacks')}  ${plural(count, 'snapshot')}, ${plural(list.length, 'different stack')}`;
  return [title, ...list.map((group, i) => renderGroup(group, i + 1))].join('\n');
}

const maxIds = 6;
const maxTexts = 5;
const maxTextLength = 60;

function renderGroup(group: StackGroup, number: number): string {
  const ids = group.snapshots.slice(0, maxIds).map(clean);
  const more = group.snapshots.length > maxIds ? ` and ${group.snapshots.length - maxIds} more` : '';
  const width = Math.max(0, ...[...group.same, ...group.different].map(({ name }) => clean(name).length));
  const named = (name: string, text: string): string =>
    `     ${colors.cyan(clean(name).padEnd(width))} = ${text}`;
  return [
    `${colors.bold(`#${number}`)}  ${plural(group.snapshots.length, 'snapshot')}  ${colors.dim(`${ids.join(' ')}${more}`)}`,
    ...group.stack.map((line) => `     ${clean(line)}`),
    ...(group.different.length === 0 ? [] : ['   differs']),
    ...group.different.map(({ name, texts }) => named(name, differing(texts))),
    ...(group.same.length === 0 ? [] : ['   the same']),
    ...group.same.map(({ name, text }) => named(name, shortened(clean(text), maxTextLength))),
    ...(group.note === undefined ? [] : [`   ${colors.dim(clean(group.note))}`]),
  ].join('\n');
}

/** A text for each snapshot; what is not known differs from nothing, but is said once. */
function differing(texts: readonly string[]): string {
  if (texts.length > 1 && new Set(texts).size === 1) {
    return colors.yellow(`${shortened(clean(texts[0] ?? ''), maxTextLength)} each time`);
  }
  const shown = texts.slice(0, maxTexts).map((text) => shortened(clean(text), maxTextLength));
  const more = texts.length > maxTexts ? `, … ${texts.length - maxTexts} more` : '';
  return colors.yellow(`${shown.join(' | ')}${more}`);
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
