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
  const lines = [
    `${colors.bold(clean(doctor.host))}  Linux ${clean(doctor.kernel)} ${doctor.architecture}`,
    `agent ${clean(doctor.version)} at ${clean(agent.address)}, process ${agent.pid}, user ${agent.uid}${agent.temporary ? ', for this command only' : ''}`,
    '',
  ];
  for (const { engine, supported, detail, remedy } of doctor.engines) {
    const color = { yes: colors.green, no: colors.red, unknown: colors.yellow }[supported];
    lines.push(`${color(supportMark[supported])} ${colors.bold(engine.padEnd(8))} ${clean(detail)}`);
    if (remedy !== undefined)
      lines.push(`  ${' '.repeat(8)} ${colors.cyan('to allow it:')} ${clean(remedy)}`);
  }
  return lines.join('\n');
}

export function renderTargets(targets: readonly TargetDocument[]): string {
  if (targets.length === 0) return 'no process can be looked into';
  const rows = targets.map((target) => [
    String(target.pid),
    clean(target.name),
    clean(target.service ?? target.unit ?? target.container?.slice(0, 12) ?? ''),
    target.buildId === '' ? '-' : target.buildId.slice(0, 12),
    target.refusal === undefined ? (target.debugInfo ?? '?') : colors.yellow(clean(target.refusal)),
    clean(target.executable),
  ]);
  return renderTable(
    ['PID', 'NAME', 'SERVICE, UNIT, CONTAINER', 'BUILD ID', 'DEBUG INFO', 'EXECUTABLE'],
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
  const state = point.state === 'armed' ? colors.green(point.state) : point.state;
  const lines = [`${colors.bold(clean(point.id))}  ${state}  ${clean(point.location)}${target}${condition}`];
  lines.push(`  ${clean(point.why)}`);
  for (const refusal of point.refusals ?? []) lines.push(`  ${colors.dim(`not used: ${clean(refusal)}`)}`);
  if (point.state === 'armed' || point.state === 'pending')
    lines.push(`  ${colors.dim(`expires ${point.expires}`)}`);
  return lines.join('\n');
}

export function renderSnapshots(snapshots: readonly SnapshotSummary[]): string {
  if (snapshots.length === 0) return 'no snapshots';
  const rows = snapshots.map((snapshot) => [
    clean(snapshot.id),
    snapshot.time.replace(/\.(\d{3})\d*/, '.$1'),
    `${snapshot.pid}/${snapshot.tid}`,
    clean(snapshot.comm),
    snapshot.engine,
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

export function renderMeasured(measured: MeasuredDocument): string {
  const seconds = Number((measured.durationMs / 1000).toFixed(3));
  return [
    `${colors.bold('measured')}  ${plural(measured.hits, 'hit')} in ${seconds} s by ${measured.engine}: ${grouped(measured.hitsPerSecond)} a second`,
    `condition false ${grouped(measured.conditionFalse)} times`,
    ...(measured.faults > 0 ? [`memory not readable ${grouped(measured.faults)} times`] : []),
  ].join(', ');
}
