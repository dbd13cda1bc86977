/** `log`: a line for each hit, with values, until Ctrl-C; lines on stdout, what was dropped on stderr (with `--json` both as documents). */
import type { Command } from 'commander';
import { StillframeError } from '../../format/error.js';
import { parseDuration } from './arguments.js';
import {
  addEngineOption,
  addTermOptions,
  cheapOption,
  pointOptionsFrom,
  runCommand,
  type PointFlags,
} from './command.js';
import { exitStatus } from './exit-status.js';
import { catchInterrupt } from './interrupt.js';
import { defaultOwner } from './owner.js';
import { clean, colors, plural } from './style.js';
import type { Workplace } from './workplace.js';

interface LogFlags extends PointFlags {
  readonly level: string;
  readonly rate: string;
  readonly for?: string;
  readonly note?: string;
}

export function addLogCommand(program: Command): void {
  addTermOptions(
    addEngineOption(
      program
        .command('log')
        .description('a line for each time that a place is passed, with values')
        .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
        .argument('<location>', 'file.c:42, function, *0x401136, lib.so!function')
        .argument('<text>', 'the line: text {expression} text {expression:x}'),
    ),
  )
    .option('--if <expression>', 'only where it is true')
    .option(...cheapOption)
    .option('--level <name>', 'what the lines are called', 'info')
    .option('--rate <number/s>', 'at most so many lines a second', '50/s')
    .option('--for <duration>', 'for so long (default: until Ctrl-C)')
    .option('--exe <file>', 'the program, where the agent runs on another host')
    .option('--note <text>', 'why, for whoever lists the points')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe log 1234 orders.c:70 'order {order->id} of {order->customer->name}: {order->total}'\n  stillframe log name:redis-server lookupKey 'flags {flags:x}' --if 'flags != 0' --rate 5/s --for 1m --json",
    )
    .action(async (target: string, location: string, template: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<LogFlags>();
      await runCommand(flags, (place) => log(place, { target, location, template }, flags));
    });
}

async function log(
  { controller, output }: Workplace,
  asked: { readonly target: string; readonly location: string; readonly template: string },
  flags: LogFlags,
): Promise<number> {
  const level = flags.level;
  using interrupt = catchInterrupt();
  const summary = await controller.log(
    {
      ...pointOptionsFrom(asked.target, asked.location, flags),
      template: asked.template,
      linesPerSecond: rateFrom(flags.rate),
      ...(flags.for === undefined ? {} : { forMs: parseDuration('--for', flags.for) }),
      owner: defaultOwner(),
      ...(flags.note === undefined ? {} : { note: flags.note }),
    },
    {
      signal: interrupt.signal,
      armed: (why) => output.progress(why),
      line: (line) =>
        output.result({ level, ...line }, () => {
          const host = line.host === undefined ? '' : `@${clean(line.host)}`;
          const where = colors.dim(`${clean(line.comm)}[${line.tid}]${host}`);
          return `${line.time} ${clean(level)} ${where} ${clean(line.text)}`;
        }),
      dropped: (count, why) => {
        if (output.json) output.result({ dropped: count, why }, () => '');
        else output.notify(`${plural(count, 'line')} dropped: ${why}`);
      },
    },
  );
  if (!output.json) {
    output.notify(`${plural(summary.lines, 'line')}, ${summary.dropped} dropped: ${summary.why}`);
  }
  return exitStatus.done;
}

/** `50/s`, or `50`. */
function rateFrom(text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)(?:\/s)?$/.exec(text);
  if (match !== null) return Number(match[1]);
  throw new StillframeError('usage', `--rate: "${text}" is no rate`, { hint: 'a number a second: 50/s' });
}
