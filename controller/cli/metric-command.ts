/** `metric`: adds up what passes a place; a table that stays up to date on a terminal, elsewhere the last numbers alone, or a document a period. */
import type { Command } from 'commander';
import { StillframeError } from '../../format/error.js';
import type { MetricRequest } from '../planner/metric.js';
import type { MetricOptions } from '../service/controller-api.js';
import { parseCount, parseDuration } from './arguments.js';
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
import { renderMetric } from './render-metric.js';
import type { Workplace } from './workplace.js';

interface MetricFlags extends PointFlags {
  readonly count?: boolean;
  readonly sum?: string;
  readonly histogram?: string;
  readonly linear?: string;
  readonly by?: string;
  readonly maxGroups?: string;
  readonly stringBytes?: string;
  readonly for?: string;
  readonly every: string;
  readonly note?: string;
}

export function addMetricCommand(program: Command): void {
  addTermOptions(
    addEngineOption(
      program
        .command('metric')
        .description('count what passes a place, or add up an expression, in the kernel')
        .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
        .argument('<location>', 'file.c:42, function, *0x401136, lib.so!function'),
    ),
  )
    .option('--count', 'how often')
    .option('--sum <expression>', 'the sum of an integer')
    .option('--histogram <expression>', 'how an integer is distributed, by powers of two')
    .option('--linear <base,width,count>', 'with --histogram: so many buckets of a width from a base')
    .option('--by <expression>', 'for each value of it: an integer, enumeration, pointer or string')
    .option('--max-groups <number>', 'how many values are told apart (default: 1000)')
    .option('--string-bytes <number>', 'how many bytes of a string tell (default: 64)')
    .option('--if <expression>', 'only where it is true')
    .option(...cheapOption)
    .option('--for <duration>', 'for so long (default: until Ctrl-C)')
    .option('--every <duration>', 'how often it is shown', '1s')
    .option('--exe <file>', 'the program, where the agent runs on another host')
    .option('--note <text>', 'why, for whoever lists the points')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe metric 1234 charge_order --count --for 10s\n  stillframe metric name:redis-server lookupKey --count --by key->ptr\n  stillframe metric 1234 handle_request --histogram request->size --by request->kind --if 'request->size > 0'\n  stillframe metric 1234 handle_request --histogram latency --linear 0,10,20 --every 5s --json",
    )
    .action(async (target: string, location: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<MetricFlags>();
      await runCommand(flags, (place) => metric(place, target, location, flags));
    });
}

async function metric(
  { controller, output }: Workplace,
  target: string,
  location: string,
  flags: MetricFlags,
): Promise<number> {
  const options: MetricOptions = {
    ...pointOptionsFrom(target, location, flags),
    metric: requestFrom(flags),
    everyMs: parseDuration('--every', flags.every),
    ...(flags.for === undefined ? {} : { forMs: parseDuration('--for', flags.for) }),
    owner: defaultOwner(),
    ...(flags.note === undefined ? {} : { note: flags.note }),
  };
  using interrupt = catchInterrupt();
  const last = await controller.metric(options, {
    signal: interrupt.signal,
    armed: (document) => {
      output.progress(`counting at ${document.location} by ${document.engine}; Ctrl-C ends it`);
    },
    sample: (document) => {
      if (output.live !== undefined) output.live(renderMetric(document));
      else if (output.json) output.result(document, () => '');
      else output.progress(`${document.total.count} so far`);
    },
  });
  if (output.live === undefined) output.result(last, () => renderMetric(last));
  else output.live(renderMetric(last));
  for (const note of last.notes) output.notify(`note: ${note}`);
  return exitStatus.done;
}

function requestFrom(flags: MetricFlags): MetricRequest {
  const asked = [flags.count, flags.sum, flags.histogram].filter((flag) => flag !== undefined);
  if (asked.length !== 1) {
    throw new StillframeError('usage', 'one of --count, --sum and --histogram must be given, and only one');
  }
  if (flags.linear !== undefined && flags.histogram === undefined) {
    throw new StillframeError('usage', '--linear goes with --histogram');
  }
  const value = flags.sum ?? flags.histogram;
  return {
    kind: flags.count === true ? 'count' : flags.sum === undefined ? 'histogram' : 'sum',
    ...(value === undefined ? {} : { value }),
    ...(flags.by === undefined ? {} : { by: flags.by }),
    ...(flags.linear === undefined ? {} : { buckets: linearFrom(flags.linear) }),
    ...(flags.maxGroups === undefined ? {} : { maxGroups: parseCount('--max-groups', flags.maxGroups, 1) }),
    ...(flags.stringBytes === undefined
      ? {}
      : { groupBytes: parseCount('--string-bytes', flags.stringBytes, 1) }),
  };
}

function linearFrom(text: string): MetricRequest['buckets'] & object {
  const match = /^(-?\d{1,18}),(\d{1,18}),(\d{1,6})$/.exec(text);
  if (match === null) {
    throw new StillframeError('usage', `--linear: "${text}" is not base,width,count`, {
      hint: 'three integers: 0,10,20 for twenty buckets from 0 up to 200',
    });
  }
  const [, base = '', width = '', count = ''] = match;
  return { kind: 'linear', base: BigInt(base), width: BigInt(width), count: Number(count) };
}
