/** The commands that set a point and wait for it, `snap` and `watch`: what they have in common. */
import type { Command } from 'commander';
import { addPointOptions, addTermOptions } from './command.js';

export interface SnapCommand {
  readonly name: 'snap' | 'watch';
  readonly description: string;
  /** Its second argument. */
  readonly location: readonly [name: string, description: string];
  /** What it sets: a point, or a watch. */
  readonly what: string;
  readonly help: string;
}

export function addSnapCommand(program: Command, about: SnapCommand): Command {
  const { name, description, location, what, help } = about;
  const command = program
    .command(name)
    .description(description)
    .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
    .argument(`<${location[0]}>`, location[1]);
  return addTermOptions(addPointOptions(command))
    .option('--hits <number>', 'how many snapshots', '1')
    .option('--every <duration>', 'at most one in so long', '1s')
    .option('--every-process', 'so many of each process, not of all together')
    .option('--all-threads', 'with the stacks of all other threads, read right after the hit')
    .option('--expire <duration>', `remove the ${what} after so long (default: a day when detached)`)
    .option('--wait <duration>', 'wait for so long (default: 60s)')
    .option('--detach', 'leave it armed and return')
    .option('--note <text>', 'why, for whoever lists the points')
    .addHelpText('after', help);
}
