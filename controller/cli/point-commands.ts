/** Commands that look into processes: snap, now; and what becomes of points: points, rm. */
import type { Command } from 'commander';
import { parseCount, parseEngine } from './arguments.js';
import { addBounds, boundsFrom, cheapOption, collect, runCommand, type PointFlags } from './command.js';
import { exitStatus } from './exit-status.js';
import { renderPoints } from './render-lists.js';
import { renderSnapshot } from './render-snapshot.js';
import { addSnapCommand } from './snap-command.js';
import { snap, type SnapFlags } from './snap.js';
import { clean } from './style.js';
import { watchPoints } from './watch-points.js';
import type { SharedOptions } from './workplace.js';

export function addPointCommands(program: Command): void {
  addSnapCommand(program, {
    name: 'snap',
    description: 'set a snapshot point, wait for it, show what came',
    location: ['location', 'file.c:42, function, *0x401136, lib.so!function'],
    what: 'point',
    help: "\nExamples:\n  stillframe snap 1234 orders.c:70\n  stillframe snap name:redis-server setGenericCommand --if 'c->argc == 3' --capture 'c->argv[1]->ptr'\n  stillframe snap 1234 handle_request --hits 3 --every 10s --detach --note 'TICKET-7'\n  stillframe snap name:worker handle --hits 10 --canary 10s --cpu 0.5 --all-threads",
  })
    .option(...cheapOption)
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
