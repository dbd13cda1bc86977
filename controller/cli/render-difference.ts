/** The difference of two snapshots as a person reads it: what differs, and of what is the same how much. Pure. */
import type {
  DifferenceDocument,
  FrameDifference,
  LeafDifference,
  SnapshotHead,
  StackDifference,
} from '../snapshot/diff.js';
import { clean, colors, plural } from './style.js';

export interface DifferenceTextOptions {
  /** What is the same, value by value. */
  readonly all: boolean;
}

export function renderDifference(difference: DifferenceDocument, options: DifferenceTextOptions): string {
  const { a, b, stack, frames, captures } = difference;
  const hasCaptures = captures.different.length + captures.same.length > 0;
  return [
    `${heading('a', a)}\n${heading('b', b)}`,
    stackText(stack),
    ...(hasCaptures ? [[colors.bold('captured'), ...leafLines(captures, options)].join('\n')] : []),
    ...frames
      .filter((frame) => options.all || frame.different.length > 0 || frame.index === 0)
      .map((frame) => frameText(frame, options)),
  ].join('\n\n');
}

function heading(side: string, head: SnapshotHead): string {
  const who = `${clean(head.comm)} (pid ${head.pid}, thread ${head.tid})`;
  const where = head.host === '' ? '' : ` on ${clean(head.host)}`;
  const when = head.time === undefined ? '' : `  ${head.time}`;
  return `${colors.bold(`${side}  snapshot ${clean(head.id)}`)}  ${who}${where}${when}`;
}

function stackText({ same, common, a, b }: StackDifference): string {
  const frames = plural(common, 'frame');
  if (same === 'yes') return `the same stack, ${frames}`;
  const title =
    same === 'no' ? `the stacks part after ${frames}` : `the same stack for ${frames}; further is not known`;
  return [title, `  a  ${clean(a ?? '')}`, `  b  ${clean(b ?? '')}`].join('\n');
}

function frameText(frame: FrameDifference, options: DifferenceTextOptions): string {
  const place = frame.a === frame.b ? clean(frame.a) : `${clean(frame.a)} | ${clean(frame.b)}`;
  const title = `${colors.bold(`#${frame.index}`)} ${colors.bold(clean(frame.function))}  ${place}`;
  return [title, ...leafLines(frame, options)].join('\n');
}

function leafLines({ different, same }: LeafDifference, { all }: DifferenceTextOptions): string[] {
  const lines = different.map(
    ({ name, a, b }) => `  ${colors.cyan(clean(name))}  ${clean(a)} ${colors.dim('|')} ${clean(b)}`,
  );
  if (different.length === 0) lines.push(colors.dim('  nothing differs'));
  if (all) lines.push(...same.map(({ name, text }) => colors.dim(`  ${clean(name)} = ${clean(text)}`)));
  else if (same.length > 0) {
    const are = same.length === 1 ? 'is' : 'are';
    lines.push(colors.dim(`  ${plural(same.length, 'more value')} ${are} the same (--all lists them)`));
  }
  return lines;
}
