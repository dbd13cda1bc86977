/** Commands that look into processes: snap, now; and what becomes of points: points, rm. */
import type { Command } from 'commander';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { SnapshotId } from '../service/controller-api.js';
import { parseCount, parseDuration, parseEngine } from './arguments.js';
import {
  addBounds,
  addPointOptions,
  boundsFrom,
  collect,
  pointOptionsFrom,
  runCommand,
  type PointFlags,
} from './command.js';
import { exitStatus } from './exit-status.js';
import { catchInterrupt } from './interrupt.js';
import { defaultOwner } from './owner.js';
import { renderPoint, renderPoints } from './render-lists.js';
import { renderSnapshot } from './render-snapshot.js';
import { clean } from './style.js';
import { watchPoints } from './watch-points.js';
import type { SharedOptions, Workplace } from './workplace.js';

interface SnapFlags extends PointFlags {
  readonly hits: string;
  readonly every: string;
  readonly expire?: string;
  readonly wait?: string;
  readonly detach?: boolean;
  readonly everyProcess?: boolean;
  readonly note?: string;
}

const defaultWaitMs = 60_000;

export function addPointCommands(program: Command): void {
  addPointOptions(
    program
      .command('snap')
      .description('set a snapshot point, wait for it, show what came')
      .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
      .argument('<location>', 'file.c:42, function, *0x401136, lib.so!function'),
  )
    .option('--hits <number>', 'how many snapshots', '1')
    .option('--every <duration>', 'at most one in so long', '1s')
    .option('--every-process', 'so many of each process, not of all together')
    .option('--expire <duration>', 'remove the point after so long (default: a day when detached)')
    .option('--wait <duration>', 'wait for so long (default: 60s)')
    .option('--detach', 'leave it armed and return')
    .option('--note <text>', 'why, for whoever lists the points')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe snap 1234 orders.c:70\n  stillframe snap name:redis-server setGenericCommand --if 'c->argc == 3' --capture 'c->argv[1]->ptr'\n  stillframe snap 1234 handle_request --hits 3 --every 10s --detach --note 'TICKET-7'",
    )
    .action(async (target: string, location: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SnapFlags>();
      await runCommand(flags, (place) => snap(place, target, location, flags));
    });

  addBounds(
    program
      .command('now')
      .description('every thread of a process, this instant')
      .argument('<target>', 'PID, name:, exe:, unit:, container:, service:'),
  )
    .option('--thread <tid>', 'only this thread; may be given again', collect)
    .option('--depth <number>', 'how many pointers to follow when values are shown')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe now 1234\n  stillframe now name:redis-server --engine ptrace --json',
    )
    .action(async (target: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<PointFlags & { thread?: readonly string[] }>();
      await runCommand(flags, async ({ controller, output }) => {
        const tids = (flags.thread ?? []).map((tid) => parseCount('--thread', tid, 1));
        const { depth, ...bounds } = boundsFrom(flags);
        const record = await controller.now({ target, tids, engine: parseEngine(flags.engine), bounds });
        const options = { allThreads: true, ...(depth === undefined ? {} : { depth }) };
        const document = await controller.show({ name: record.id }, options);
        output.result(document, () => renderSnapshot(document, { allThreads: true }));
      });
    });

  program
    .command('points')
    .description('all points, their state, and why they have not fired')
    .argument('[id]', 'only this one')
    .option('--watch', 'go on, and show what changes')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe points\n  stillframe points 0t3k --watch\n  stillframe points --watch --json',
    )
    .action(async (id: string | undefined, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { watch?: boolean }>();
      await runCommand(flags, async (place) => {
        if (flags.watch === true) return await watchPoints(place, id);
        const points = await place.controller.points(id);
        if (place.output.json) for (const point of points) place.output.result(point, () => '');
        else place.output.text(renderPoints(points));
        return exitStatus.done;
      });
    });

  program
    .command('resume')
    .description('arm points again that were suspended, for they took more CPU than the host allows')
    .argument('<id...>', 'ids or prefixes of them')
    .addHelpText('after', '\nExamples:\n  stillframe resume 0t3k9fx7q2ab')
    .action(async (ids: readonly string[], _: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        for (const point of await controller.resumePoints(ids)) {
          output.result(point, () => `${clean(point.id)} ${clean(point.state)}: ${clean(point.why)}`);
        }
      });
    });

  program
    .command('rm')
    .description('remove points; done when the kernel says so')
    .argument('<id...>', 'ids or prefixes of them')
    .addHelpText('after', '\nExamples:\n  stillframe rm 0t3k9fx7q2ab\n  stillframe rm 0t3k 0t3m')
    .action(async (ids: readonly string[], _: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        for (const point of await controller.removePoints(ids)) {
          output.result(point, () => `removed ${clean(point.id)}: ${clean(point.why)}`);
        }
      });
    });
}

async function snap(
  { controller, output }: Workplace,
  target: string,
  location: string,
  flags: SnapFlags,
): Promise<number> {
  const detach = flags.detach === true;
  if (detach && flags.wait !== undefined) {
    throw new StillframeError('usage', '--wait and --detach exclude each other');
  }
  const options = {
    ...pointOptionsFrom(target, location, flags),
    hits: parseCount('--hits', flags.hits, 1),
    minIntervalNs: BigInt(parseDuration('--every', flags.every)) * 1_000_000n,
    everyProcess: flags.everyProcess === true,
    waitMs: flags.wait === undefined ? defaultWaitMs : parseDuration('--wait', flags.wait),
    detach,
    owner: defaultOwner(),
    ...(flags.note === undefined ? {} : { note: flags.note }),
    ...(flags.expire === undefined ? {} : { expireMs: parseDuration('--expire', flags.expire) }),
  };
  using interrupt = catchInterrupt();
  const showing: Promise<void>[] = [];
  let shown: Promise<void> = Promise.resolve();
  const show = async (record: SnapshotId): Promise<void> => {
    const depth = options.bounds.depth;
    const document = await controller.show(
      { name: record.id, exe: options.exe },
      depth === undefined ? {} : { depth },
    );
    output.result(document, () => renderSnapshot(document));
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
