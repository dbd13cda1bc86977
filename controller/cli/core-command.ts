/** `core`: a core file of a live process. */
import type { Command } from 'commander';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { ControllerApi } from '../service/controller-api.js';
import { parseEngine, parseSize } from './arguments.js';
import { addBounds, boundsFrom, runCommand, type PointFlags } from './command.js';
import { exitStatus } from './exit-status.js';
import type { Output } from './output.js';
import { bytesText, clean } from './style.js';

interface CoreFlags extends PointFlags {
  readonly output: string;
  readonly full?: boolean;
  readonly stacks?: boolean;
}

/** Stacks, data and the heap of most services; `--full` is for all. */
const defaultBytes = 64 * 1024 ** 2;
/** Of `--full`: what the disks allow stops it before. */
const fullBytes = 1024 ** 4;

export function addCoreCommand(program: Command): void {
  addBounds(
    program
      .command('core')
      .description('a core file of a live process, for gdb, lldb, a colleague; the process goes on')
      .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
      .requiredOption('-o, --output <file>', 'where to write it')
      .option('--full', 'the whole memory, for the price of one fork')
      .option('--stacks', 'threads and their stacks only'),
  )
    .addHelpText(
      'after',
      '\nWithout --full or --stacks: threads, stacks, data, and heap up to --bytes (64M).\n\nExamples:\n  stillframe core 1234 -o server.core\n  stillframe core name:redis-server --full -o redis.core\n  gdb ./server server.core',
    )
    .action(async (target: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<CoreFlags>();
      await runCommand(flags, async ({ controller, output }) => {
        const { id } = await take(controller, { target, flags, output });
        output.progress(`writing ${flags.output}`);
        const { bytes } = await controller.exportCore({ name: id }, flags.output);
        output.result(
          { id, file: flags.output, bytes },
          () => `wrote ${clean(flags.output)}, ${bytesText(bytes)}`,
        );
        return exitStatus.done;
      });
    });
}

async function take(
  controller: ControllerApi,
  { target, flags, output }: { readonly target: string; readonly flags: CoreFlags; readonly output: Output },
): Promise<{ readonly id: string }> {
  if (flags.full === true && flags.stacks === true) {
    throw new StillframeError('usage', '--full and --stacks exclude each other');
  }
  const engine = parseEngine(flags.engine);
  const stacks = (): Promise<{ readonly id: string }> =>
    controller.now({ target, tids: [], engine: engine === 'fork' ? '' : engine, bounds: boundsFrom(flags) });
  // An engine that cannot hold memory still takes stacks.
  const isStacks = flags.stacks === true || (flags.full !== true && engine !== '' && engine !== 'fork');
  if (isStacks) {
    if (engine !== 'fork') return await stacks();
    throw new StillframeError('usage', '--engine fork copies all memory: it does not go with --stacks');
  }
  const most = flags.full === true ? fullBytes : defaultBytes;
  const bytes = flags.bytes === undefined ? most : parseSize('--bytes', flags.bytes);
  try {
    return await controller.core(
      { target, engine, bytes },
      {
        progress: (done, total) => output.progress(`copied ${bytesText(done)} of ${bytesText(total)}`),
      },
    );
  } catch (error) {
    const { code, message } = toStillframeError(error);
    if (flags.full === true || engine !== '' || (code !== 'unsupported' && code !== 'denied')) throw error;
    output.notify(`only threads and stacks are taken: ${message}`);
    return await stacks();
  }
}
