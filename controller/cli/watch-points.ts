/** `points --watch`: on a terminal a list that stays up to date, elsewhere a line, or with `--json` a document, for each change. */
import type { PointDocument } from '../service/documents.js';
import { exitStatus } from './exit-status.js';
import { catchInterrupt } from './interrupt.js';
import { renderPoints } from './render-lists.js';
import { clean, plural } from './style.js';
import type { Workplace } from './workplace.js';

/** Until Ctrl-C, which is how it is meant to end. */
export async function watchPoints(
  { controller, output }: Workplace,
  reference: string | undefined,
): Promise<number> {
  using interrupt = catchInterrupt();
  const known = new Map<string, PointDocument>();
  await controller.watchPoints(reference, {
    signal: interrupt.signal,
    points: (points) => {
      for (const point of points) known.set(point.id, point);
      if (output.live !== undefined) output.live(renderPoints(inOrder([...known.values()])));
      else for (const point of points) output.result(point, () => lineOf(point, new Date()));
    },
  });
  return exitStatus.done;
}

/** Those that can still fire first; the newest first among them. */
function inOrder(points: readonly PointDocument[]): readonly PointDocument[] {
  const isOver = ({ state }: PointDocument): number => (state === 'ended' || state === 'failed' ? 1 : 0);
  return points.toSorted((a, b) => isOver(a) - isOver(b) || (a.id < b.id ? 1 : -1));
}

function lineOf({ id, state, hits, why }: PointDocument, now: Date): string {
  return `${now.toISOString()}  ${clean(id)}  ${clean(state)}  ${plural(hits, 'hit')}  ${clean(why)}`;
}
