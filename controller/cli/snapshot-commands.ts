/** Commands on snapshots that were taken, and on cores that others wrote: snapshots, show, eval, export. */
import { Option, type Command } from 'commander';
import { StillframeError } from '../../format/error.js';
import { formats, isFormat } from '../types/format.js';
import type { ValueDocument } from '../types/value-document.js';
import { parseCount, parseSince } from './arguments.js';
import { addSnapshotOptions, runCommand, snapshotReferenceFrom, type SnapshotFlags } from './command.js';
import { exitStatus, exitStatusOf } from './exit-status.js';
import { errorDocument, errorText } from './output.js';
import { renderSnapshots } from './render-lists.js';
import { renderSnapshot } from './render-snapshot.js';
import { rootPath } from '../types/path.js';
import { renderValueText } from './render-value.js';
import { bytesText, clean, colors } from './style.js';
import type { SharedOptions } from './workplace.js';

interface ShowFlags extends SnapshotFlags {
  readonly frame?: string;
  readonly depth?: string;
  readonly allThreads?: boolean;
  readonly goroutine?: string;
  readonly source?: boolean;
  readonly raw?: boolean;
}

interface EvalFlags extends SnapshotFlags {
  readonly frame?: string;
  readonly thread?: string;
  readonly goroutine?: string;
  readonly depth?: string;
  readonly format?: string;
  readonly raw?: boolean;
}

const snapshotArgument = 'an id, a prefix of one, last, or the path of a core file';
const textWidth = 110;
const formatHelp = Object.entries(formats)
  .map(([letter, what]) => `${letter} ${what}`)
  .join('; ');

export function addSnapshotCommands(program: Command): void {
  program
    .command('snapshots')
    .description('the snapshots that are stored')
    .option('--point <id>', 'only those of this point')
    .option('--since <duration>', 'only those of the last so long, or since a time')
    .addHelpText('after', '\nExamples:\n  stillframe snapshots\n  stillframe snapshots --since 2h --json')
    .action(async (_: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { point?: string; since?: string }>();
      await runCommand(flags, async ({ controller, output }) => {
        const snapshots = await controller.snapshots({
          ...(flags.point === undefined ? {} : { point: flags.point }),
          ...(flags.since === undefined ? {} : { sinceNs: parseSince(flags.since, Date.now()) }),
        });
        if (output.json) for (const snapshot of snapshots) output.result(snapshot, () => '');
        else output.text(renderSnapshots(snapshots));
      });
    });

  addSnapshotOptions(
    program
      .command('show')
      .description('a snapshot: the stack, the variables of every frame')
      .argument('<snapshot>', snapshotArgument),
  )
    .option('--frame <number>', 'only this frame')
    .option('--depth <number>', 'how many pointers to follow')
    .option('--all-threads', 'the stacks of all threads')
    .option('--goroutine <id>', 'the stack of this goroutine, of a core of all memory of a Go program')
    .option('--source', 'more of the source around each frame')
    .option('--raw', 'values as they are declared, without the view of their language')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe show last\n  stillframe show 0t3k --frame 2 --source\n  stillframe show ./core.1234 --exe ./server --all-threads\n  stillframe show ./core.1234 --goroutine 18',
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<ShowFlags>();
      await runCommand(flags, async ({ withSnapshot, output }) => {
        const frame = flags.frame === undefined ? undefined : parseCount('--frame', flags.frame);
        const depth = flags.depth === undefined ? undefined : parseCount('--depth', flags.depth);
        const options = {
          ...(frame === undefined ? {} : { frame }),
          ...(depth === undefined ? {} : { depth }),
          ...(flags.allThreads === true ? { allThreads: true } : {}),
          ...(flags.goroutine === undefined
            ? {}
            : { goroutine: parseCount('--goroutine', flags.goroutine, 1) }),
          ...(flags.raw === true ? { raw: true } : {}),
        };
        const reference = snapshotReferenceFrom(name, flags);
        const document = await withSnapshot(name, (controller) => controller.show(reference, options));
        if (frame !== undefined && document.frames.length > 0 && frame >= document.frames.length) {
          throw new StillframeError(
            'not-found',
            `there is no frame ${frame}: the ${document.goroutine === undefined ? 'thread' : 'goroutine'} has ${document.frames.length}`,
          );
        }
        output.result(document, () =>
          renderSnapshot(document, {
            allThreads: flags.allThreads === true,
            source: flags.source === true,
            ...(frame === undefined ? {} : { frame }),
          }),
        );
      });
    });

  addSnapshotOptions(
    program
      .command('eval')
      .description('the values of expressions in a snapshot')
      .argument('<snapshot>', snapshotArgument)
      .argument('<expression...>', 'in the spelling of the program; after -- where one starts with -'),
  )
    .option('--frame <number>', 'in this frame', '0')
    .option('--thread <tid>', 'in this thread')
    .option('--goroutine <id>', 'in this goroutine, of a core of all memory of a Go program')
    .option('--depth <number>', 'how many pointers to follow')
    .addOption(
      new Option('--format <letter>', `how scalars are written: ${formatHelp}`).choices(Object.keys(formats)),
    )
    .option('--raw', 'values as they are declared, without the view of their language')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe eval last 'order->items[0].quantity * 2' 'order->customer->name'\n  stillframe eval last flags --format x\n  stillframe eval ./core.1234 counter --frame 2\n  stillframe eval ./core.1234 request --goroutine 18 --frame 3",
    )
    .action(async (name: string, expressions: readonly string[], _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<EvalFlags>();
      if (flags.thread !== undefined && flags.goroutine !== undefined) {
        throw new StillframeError('usage', '--thread and --goroutine: only one of them can be looked into');
      }
      await runCommand(flags, async ({ withSnapshot, output }) => {
        const options = {
          frame: parseCount('--frame', flags.frame ?? '0'),
          ...(flags.thread === undefined ? {} : { tid: parseCount('--thread', flags.thread, 1) }),
          ...(flags.goroutine === undefined
            ? {}
            : { goroutine: parseCount('--goroutine', flags.goroutine, 1) }),
          ...(flags.depth === undefined ? {} : { depth: parseCount('--depth', flags.depth) }),
          ...(flags.raw === true ? { raw: true } : {}),
          ...(flags.format !== undefined && isFormat(flags.format) ? { format: flags.format } : {}),
        };
        const reference = snapshotReferenceFrom(name, flags);
        const results = await withSnapshot(name, (controller) =>
          controller.evaluate(reference, expressions, options),
        );
        let status: number = exitStatus.done;
        results.forEach((result, i) => {
          const expression = expressions[i] ?? '';
          if (result instanceof StillframeError) {
            if (status === exitStatus.done) status = exitStatusOf(result.code);
            output.result(errorDocument(result), () => errorText(result));
            return;
          }
          output.result({ expression, ...result }, () => valueText(expression, result));
        });
        return status;
      });
    });

  program
    .command('export')
    .description('the core file itself, for gdb, lldb, a colleague')
    .argument('<snapshot>', snapshotArgument)
    .requiredOption('-o, --output <file>', 'where to write it')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe export last -o snapshot.core\n  gdb ./server snapshot.core',
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { output: string }>();
      await runCommand(flags, async ({ withSnapshot, output }) => {
        const { id, bytes } = await withSnapshot(name, (controller) =>
          controller.exportCore({ name }, flags.output),
        );
        output.result(
          { id, file: flags.output, bytes },
          () => `wrote ${clean(flags.output)}, ${bytesText(bytes)}`,
        );
      });
    });
}

function valueText(expression: string, value: ValueDocument): string {
  const text = renderValueText(value, { indent: 0, width: textWidth, path: rootPath(expression) });
  const hint =
    value.absent?.hint === undefined ? '' : `\n  ${colors.cyan('hint:')} ${clean(value.absent.hint)}`;
  return `${colors.cyan(clean(expression))} ${colors.dim(clean(value.type))} = ${text}${hint}`;
}
