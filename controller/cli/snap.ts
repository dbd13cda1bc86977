/** How a point is waited for: `snap` and `watch`. */
import { StillframeError, toStillframeError } from '../../format/error.js';
import { defaultCanaryMs } from '../../format/point-terms.js';
import type { WatchRequest } from '../planner/watch.js';
import type { SnapOptions, SnapshotId } from '../service/controller-api.js';
import { parseCount, parseDuration } from './arguments.js';
import { pointOptionsFrom, type PointFlags } from './command.js';
import { exitStatus } from './exit-status.js';
import { catchInterrupt } from './interrupt.js';
import { defaultOwner } from './owner.js';
import { renderPoint } from './render-lists.js';
import { renderSnapshot } from './render-snapshot.js';
import { plural } from './style.js';
import type { Workplace } from './workplace.js';

export interface SnapFlags extends PointFlags {
  readonly hits: string;
  readonly every: string;
  readonly expire?: string;
  readonly wait?: string;
  readonly detach?: boolean;
  readonly everyProcess?: boolean;
  readonly note?: string;
}

const defaultWaitMs = 60_000;

/** Sets a point, waits for it and shows what comes. With `watch` the location is an expression. */
export async function snap(
  { controller, output }: Workplace,
  target: string,
  location: string,
  flags: SnapFlags,
  watch?: WatchRequest,
): Promise<number> {
  const detach = flags.detach === true;
  if (detach && flags.wait !== undefined) {
    throw new StillframeError('usage', '--wait and --detach exclude each other');
  }
  const options = snapOptionsFrom(target, location, flags, watch);
  using interrupt = catchInterrupt();
  const showing: Promise<void>[] = [];
  let shown: Promise<void> = Promise.resolve();
  const unshown: SnapshotId[] = [];
  const show = async (record: SnapshotId): Promise<void> => {
    // They may have come faster than they can be shown, and nobody wants to wait for that any more.
    if (interrupt.signal.aborted) {
      unshown.push(record);
      return;
    }
    const depth = options.bounds.depth;
    const allThreads = options.terms?.allThreads === true;
    const document = await controller.show(
      { name: record.id, exe: options.exe },
      { ...(depth === undefined ? {} : { depth }), ...(allThreads ? { allThreads } : {}) },
    );
    output.result(document, () => renderSnapshot(document, { allThreads }));
  };
  try {
    const outcome = await controller.snap(options, {
      signal: interrupt.signal,
      armed: (point) => {
        if (!detach) output.progress(`point ${point.id} ${point.why}`);
      },
      progress: (why) => output.progress(why),
      snapshot: (record) => {
        // In the order in which they came, each as soon as it is there.
        shown = shown.then(() => show(record));
        showing.push(shown);
      },
    });
    await Promise.all(showing);
    if (unshown.length > 0) output.notify(whereKept(unshown, outcome.point));
    if (detach) output.result(outcome.point, () => renderPoint(outcome.point));
    else if (outcome.snapshots.length < options.hits && !options.everyProcess) {
      output.notify(`${outcome.snapshots.length} of ${options.hits} snapshots came: ${outcome.point.why}`);
    }
    return interrupt.signal.aborted ? exitStatus.interrupted : exitStatus.done;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    output.error(toStillframeError(error));
    return exitStatus.interrupted;
  }
}

function whereKept(unshown: readonly SnapshotId[], point: { readonly id: string }): string {
  return `${plural(unshown.length, 'snapshot')} came that ${unshown.length === 1 ? 'was' : 'were'} not shown: \`stillframe snapshots --point ${point.id}\` lists all`;
}

function snapOptionsFrom(
  target: string,
  location: string,
  flags: SnapFlags,
  watch: WatchRequest | undefined,
): SnapOptions {
  const detach = flags.detach === true;
  const hits = parseCount('--hits', flags.hits, 1);
  const point = pointOptionsFrom(target, location, flags);
  // One hit that somebody waits for comes from whichever process passes first; what stays longer is tried in one.
  const canaryMs = detach || hits > 1 || flags.everyProcess === true ? defaultCanaryMs : 0;
  return {
    ...point,
    terms: { canaryMs, ...point.terms },
    ...(watch === undefined ? {} : { watch }),
    hits,
    minIntervalNs: BigInt(parseDuration('--every', flags.every)) * 1_000_000n,
    everyProcess: flags.everyProcess === true,
    waitMs: flags.wait === undefined ? defaultWaitMs : parseDuration('--wait', flags.wait),
    detach,
    owner: defaultOwner(),
    ...(flags.note === undefined ? {} : { note: flags.note }),
    ...(flags.expire === undefined ? {} : { expireMs: parseDuration('--expire', flags.expire) }),
  };
}
