/** `stillframe diff`: two hits, variable by variable. */
import type { Command } from 'commander';
import { diffSnapshots } from '../snapshot/diff.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import { addSnapshotOptions, runCommand, snapshotReferenceFrom, type SnapshotFlags } from './command.js';
import { parseCount } from './arguments.js';
import { renderDifference } from './render-difference.js';

interface DiffFlags extends SnapshotFlags {
  readonly depth?: string;
  readonly all?: boolean;
}

const snapshotArgument = 'an id, a prefix of one, last, or the path of a core file';

export function addDiffCommand(program: Command): void {
  addSnapshotOptions(
    program
      .command('diff')
      .description('two hits, variable by variable: what differs, and what is the same')
      .argument('<snapshot>', snapshotArgument)
      .argument('<other>', snapshotArgument),
  )
    .option('--depth <number>', 'how many pointers to follow')
    .option('--all', 'list what is the same, too')
    .addHelpText('after', '\nExamples:\n  stillframe diff 0t3k 0t3m\n  stillframe diff 0t3k last --all')
    .action(async (first: string, second: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<DiffFlags>();
      await runCommand(flags, async ({ withSnapshot, output }) => {
        const depth = flags.depth === undefined ? {} : { depth: parseCount('--depth', flags.depth) };
        const show = (name: string): Promise<SnapshotDocument> =>
          withSnapshot(name, (controller) => controller.show(snapshotReferenceFrom(name, flags), depth));
        const a = await show(first);
        const b = await show(second);
        const difference = diffSnapshots(a, b);
        output.result(difference, () => renderDifference(difference, { all: flags.all === true }));
      });
    });
}
