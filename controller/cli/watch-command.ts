/** `watch`: a snapshot when a variable is written, with the value before and after and the stack of whoever wrote. */
import type { Command } from 'commander';
import { addPointOptions, runCommand } from './command.js';
import { snap, type SnapFlags } from './snap.js';

interface WatchFlags extends SnapFlags {
  readonly changed?: boolean;
}

export function addWatchCommand(program: Command): void {
  addPointOptions(
    program
      .command('watch')
      .description('a snapshot when a variable is written: who wrote, the value before and after')
      .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
      .argument(
        '<variable>',
        "a global, a static ('file.c'::name), or what it leads to: queue->head, lib.so!state",
      ),
  )
    .option('--changed', 'only writes of another value')
    .option('--hits <number>', 'how many snapshots', '1')
    .option('--every <duration>', 'at most one in so long', '1s')
    .option('--every-process', 'so many of each process, not of all together')
    .option('--expire <duration>', 'remove the watch after so long (default: a day when detached)')
    .option('--wait <duration>', 'wait for so long (default: 60s)')
    .option('--detach', 'leave it armed and return')
    .option('--note <text>', 'why, for whoever lists the points')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe watch 1234 config.limit\n  stillframe watch name:redis-server server.maxmemory --changed --hits 3\n  stillframe watch 1234 queue->length --if 'queue->length > 1000'\n\nThe address is computed once. The condition is checked after the write. Four watches a process at a time.",
    )
    .action(async (target: string, variable: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<WatchFlags>();
      const watch = { onlyChanges: flags.changed === true };
      await runCommand(flags, (place) => snap(place, target, variable, flags, watch));
    });
}
