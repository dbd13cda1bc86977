/** What an archive of an incident says of itself: what is in it, and how its snapshots are opened without us. */
import { printable } from '../../format/printable.js';
import { formatTime } from '../snapshot/show.js';
import type { IncidentDocument } from './incident.js';

export interface ReadmeSnapshot {
  readonly id: string;
  readonly timeNs: bigint;
  /** As the process maps it. */
  readonly executable: string;
  readonly buildId: string;
  /** Why its core is not in the archive. */
  readonly missing?: string;
  /** Why its values could not be read here. */
  readonly unread?: string;
}

export function readmeText(document: IncidentDocument, snapshots: readonly ReadmeSnapshot[]): string {
  const lines = [
    `# Incident ${document.id} of rule ${document.rule}`,
    '',
    document.cause,
    '',
    'incident.json       the incident: timeline, points, snapshots grouped by stack',
    'timeline.txt        the same to read',
    'snapshots/ID.core   a snapshot: an ELF core file, for stillframe, gdb, lldb',
    'snapshots/ID.json   what `stillframe show ID --json` says of it',
    ...(snapshots.length === 0 ? ['', 'No snapshot came.'] : ['', ...snapshotLines(snapshots)]),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function snapshotLines(snapshots: readonly ReadmeSnapshot[]): string[] {
  return [
    'Cores hold what was captured and nothing else: gdb takes code from the program that was running, so give it the same build.',
    '',
    ...snapshots.flatMap(({ id, timeNs, executable, buildId, missing, unread }) => [
      `${id}  ${formatTime(timeNs)}  build id ${buildId === '' ? 'unknown' : buildId}`,
      missing === undefined
        ? `    gdb ${shellQuoted(executable)} snapshots/${id}.core`
        : `    not in this archive: ${missing}`,
      ...(missing === undefined ? [`    stillframe show snapshots/${id}.core`] : []),
      ...(unread === undefined ? [] : [`    its values could not be read: ${unread}`]),
    ]),
  ];
}

/** A path is what a process says it is: it must stay one word, whatever is in it. */
function shellQuoted(text: string): string {
  if (/^[\w./+-]+$/.test(text) && !text.startsWith('-')) return text;
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
