/** Hosts, targets, points and snapshots as people read them. */
import type {
  DoctorDocument,
  MeasuredDocument,
  PointDocument,
  SnapshotSummary,
  TargetDocument,
} from '../service/documents.js';
import { bytesText, clean, colors, grouped, plural } from './style.js';
import { renderTable } from './table.js';

const supportMark = { yes: '✓', no: '✗', unknown: '?' } as const;

export function renderDoctor(doctor: DoctorDocument): string {
  const { agent } = doctor;
  if (doctor.error !== undefined) {
    const name = colors.bold(clean(doctor.host));
    return `${name}  agent at ${clean(agent.address)}: ${colors.red(clean(doctor.error))}`;
  }
  const lines = [
    `${colors.bold(clean(doctor.host))}  Linux ${clean(doctor.kernel)} ${clean(doctor.architecture)}`,
    `agent ${clean(doctor.version)} at ${clean(agent.address)}, process ${agent.pid}, user ${agent.uid}${agent.temporary ? ', for this command only' : ''}`,
    '',
  ];
  for (const { engine, supported, detail, remedy } of doctor.engines) {
    const color = { yes: colors.green, no: colors.red, unknown: colors.yellow }[supported];
    lines.push(`${color(supportMark[supported])} ${colors.bold(clean(engine).padEnd(8))} ${clean(detail)}`);
    if (remedy !== undefined)
      lines.push(`  ${' '.repeat(8)} ${colors.cyan('to allow it:')} ${clean(remedy)}`);
  }
  return lines.join('\n');
}

export function renderTargets(targets: readonly TargetDocument[]): string {
  if (targets.length === 0) return 'no process can be looked into';
  const hasHosts = targets.some(({ host }) => host !== undefined);
  const rows = targets.map((target) => [
    ...(hasHosts ? [clean(target.host ?? '')] : []),
    String(target.pid),
    clean(target.name),
    clean(target.service ?? target.unit ?? target.container?.slice(0, 12) ?? ''),
    target.buildId === '' ? '-' : target.buildId.slice(0, 12),
    target.refusal === undefined ? (target.debugInfo ?? '?') : colors.yellow(clean(target.refusal)),
    clean(target.executable),
  ]);
  return renderTable(
    [
      ...(hasHosts ? ['HOST'] : []),
      'PID',
      'NAME',
      'SERVICE, UNIT, CONTAINER',
      'BUILD ID',
      'DEBUG INFO',
      'EXECUTABLE',
    ],
    rows,
  );
}

export function renderPoints(points: readonly PointDocument[]): string {
  if (points.length === 0) return 'no points';
  return points.map(renderPoint).join('\n');
}

export function renderPoint(point: PointDocument): string {
  const condition = point.condition === undefined ? '' : ` if ${clean(point.condition)}`;
  const target = point.target === '' ? '' : ` in ${clean(point.target)}`;
  const state = point.state === 'armed' ? colors.green(point.state) : clean(point.state);
  const counts = point.kind === 'count' ? '  counts only' : '';
  const lines = [
    `${colors.bold(clean(point.id))}  ${state}${counts}  ${clean(point.location)}${target}${condition}`,
    `  ${clean(point.why)}`,
  ];
  for (const { host, state: there, why, hits } of point.hosts ?? []) {
    lines.push(`  ${colors.cyan(clean(host))}  ${clean(there)}  ${plural(hits, 'hit')}  ${clean(why)}`);
  }
  for (const refusal of point.refusals ?? []) lines.push(`  ${colors.dim(`not used: ${clean(refusal)}`)}`);
  const facts = pointFacts(point);
  if (facts.length > 0) lines.push(`  ${colors.dim(facts.join(', '))}`);
  return lines.join('\n');
}

function pointFacts(point: PointDocument): string[] {
  const isActive = point.state !== 'ended' && point.state !== 'failed';
  return [
    ...(isActive ? [`expires ${clean(point.expires)}`] : []),
    ...(point.cpuPercent === undefined ? [] : [`at most ${point.cpuPercent}% of a CPU`]),
    ...(point.owner === undefined ? [] : [`set by ${clean(point.owner)}`]),
    ...(point.incident === undefined ? [] : [`incident ${clean(point.incident)}`]),
    ...(point.note === undefined ? [] : [`note: ${clean(point.note)}`]),
  ];
}

export function renderSnapshots(snapshots: readonly SnapshotSummary[]): string {
  if (snapshots.length === 0) return 'no snapshots';
  const rows = snapshots.map((snapshot) => [
    clean(snapshot.id),
    clean(snapshot.time).replace(/\.(\d{3})\d*/, '.$1'),
    `${snapshot.pid}/${snapshot.tid}`,
    clean(snapshot.comm),
    clean(snapshot.engine),
    placeOf(snapshot),
    bytesText(snapshot.size),
    clean(snapshot.point),
  ]);
  return renderTable(['ID', 'TIME', 'PID/TID', 'THREAD', 'ENGINE', 'WHERE', 'SIZE', 'POINT'], rows);
}

function placeOf({ location }: SnapshotSummary): string {
  if (location.function === undefined) return 'all threads';
  const { file, line } = location;
  const at = file === undefined ? '' : ` ${file.slice(file.lastIndexOf('/') + 1)}:${line ?? '?'}`;
  return clean(`${location.function}${at}`);
}

/** `candidates`: the agent decides a part of the condition, which nobody has asked it for. */
export function renderMeasured(measured: MeasuredDocument, candidates = false): string {
  const seconds = Number((measured.durationMs / 1000).toFixed(3));
  return [
    `${colors.bold('measured')}  ${plural(measured.hits, 'hit')} in ${seconds} s by ${clean(measured.engine)}: ${grouped(measured.hitsPerSecond)} a second`,
    `condition false ${grouped(measured.conditionFalse)} times`,
    ...(candidates ? ['the rest are candidates, of which the agent would decide'] : []),
    ...(measured.faults > 0 ? [`memory not readable ${grouped(measured.faults)} times`] : []),
  ].join(', ');
}
