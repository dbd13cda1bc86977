/** `watch`: a snapshot when a variable is written, with the value before and after and the stack of whoever wrote. */
import type { Command } from 'commander';
import { runCommand } from './command.js';
import { addSnapCommand } from './snap-command.js';
import { snap, type SnapFlags } from './snap.js';

interface WatchFlags extends SnapFlags {
  readonly changed?: boolean;
}

export function addWatchCommand(program: Command): void {
  addSnapCommand(program, {
    name: 'watch',
    description: 'a snapshot when a variable is written: who wrote, the value before and after',
    location: [
      'variable',
      "a global, a static ('file.c'::name), or what it leads to: queue->head, lib.so!state",
    ],
    what: 'watch',
    help: "\nExamples:\n  stillframe watch 1234 config.limit\n  stillframe watch name:redis-server server.maxmemory --changed --hits 3\n  stillframe watch 1234 queue->length --if 'queue->length > 1000'\n\nThe address is computed once. The condition is checked after the write. Four watches a process at a time.",
  })
    .option('--changed', 'only writes of another value')
    .action(async (target: string, variable: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<WatchFlags>();
      const watch = { onlyChanges: flags.changed === true };
      await runCommand(flags, (place) => snap(place, target, variable, flags, watch));
    });
}
