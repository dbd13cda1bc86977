/** What all commands have in common: how they are run, how their errors are told, the options that several of them take. */
import { Option, type Command } from 'commander';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { engineNames } from '../../format/capture.js';
import { maxCanaryMs, termsPart, type PointTerms } from '../../format/point-terms.js';
import { parseCount, parseDuration, parseEngine, parsePercent, parseSize } from './arguments.js';
import { exitStatus, exitStatusOf } from './exit-status.js';
import { makeOutput, type Output } from './output.js';
import type { SharedOptions, Workplace } from './workplace.js';
import type { CaptureBounds, PointOptions } from '../service/planning.js';
import type { SnapshotReference } from '../service/controller-api.js';

/** Opens the workplace, runs, and sets the exit status; what is thrown is told as CLI.md says. */
export async function runCommand(
  options: SharedOptions,
  work: (place: Workplace) => Promise<number | void>,
): Promise<void> {
  try {
    const { openWorkplace } = await import('./workplace.js');
    using place = await openWorkplace(options);
    process.exitCode = (await work(place)) ?? exitStatus.done;
  } catch (thrown) {
    reportError(toStillframeError(thrown), options.json === true);
  }
}

/** For what needs neither store nor controller. */
export async function runLocally(
  options: SharedOptions,
  work: (output: Output) => Promise<number>,
): Promise<void> {
  try {
    process.exitCode = await work(makeOutput(options.json === true));
  } catch (thrown) {
    reportError(toStillframeError(thrown), options.json === true);
  }
}

export function reportError(error: StillframeError, json: boolean): void {
  makeOutput(json).error(error);
  if (error.code === 'internal' && process.env['STILLFRAME_TRACE']) {
    const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : '';
    process.stderr.write(`${error.stack}${cause}\n`);
  }
  process.exitCode = exitStatusOf(error.code);
}

export interface PointFlags extends SharedOptions {
  readonly if?: string;
  readonly capture?: readonly string[];
  readonly engine?: string;
  readonly depth?: string;
  readonly stack?: string;
  readonly bytes?: string;
  readonly exe?: string;
  readonly cheap?: boolean;
  readonly canary?: string;
  readonly cpu?: string;
  readonly allThreads?: boolean;
}

/** For options that may be given again. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export function addEngineOption(command: Command): Command {
  return command.addOption(new Option('--engine <name>', 'force an engine').choices(engineNames));
}

export function addBounds(command: Command): Command {
  return addEngineOption(command)
    .option('--stack <bytes>', 'how much of the stack to take')
    .option('--bytes <bytes>', 'how much to take in all');
}

export function addPointOptions(command: Command): Command {
  return addBounds(
    command
      .option('--if <expression>', 'only where it is true')
      .option('--capture <expression>', 'take this too; may be given again', collect),
  )
    .option('--depth <number>', 'how many pointers to follow, one after another')
    .option('--exe <file>', 'the program, where the agent runs on another host');
}

/** Of points at places in code. */
export const cheapOption = [
  '--cheap',
  'where a hit costs least, past loads too (a pass that faults there is then not seen)',
] as const;

/** How the point is run. */
export function addTermOptions(command: Command): Command {
  return command
    .option('--canary <duration>', 'where it covers several processes: so long in one of them first')
    .option('--cpu <percent>', 'how much of a CPU its hits may take before it is suspended');
}

export function termsFrom(flags: PointFlags): PointTerms {
  return {
    ...(flags.canary === undefined ? {} : { canaryMs: parseCanary(flags.canary) }),
    ...(flags.cpu === undefined ? {} : { cpuPercent: parsePercent('--cpu', flags.cpu) }),
    ...(flags.allThreads === true ? { allThreads: true } : {}),
  };
}

const parseCanary = (text: string): number => {
  const ms = text === '0' || text === 'off' ? 0 : parseDuration('--canary', text);
  if (ms > maxCanaryMs) throw new StillframeError('usage', `--canary: "${text}" is longer than 24h`);
  return ms;
};

export function pointOptionsFrom(target: string, location: string, flags: PointFlags): PointOptions {
  return {
    target,
    location,
    ...(flags.if === undefined ? {} : { condition: flags.if }),
    captures: flags.capture ?? [],
    engine: parseEngine(flags.engine),
    bounds: boundsFrom(flags),
    ...termsPart(termsFrom(flags)),
    ...(flags.exe === undefined ? {} : { exe: flags.exe }),
  };
}

export function boundsFrom(flags: Pick<PointFlags, 'depth' | 'stack' | 'bytes' | 'cheap'>): CaptureBounds {
  return {
    ...(flags.depth === undefined ? {} : { depth: parseCount('--depth', flags.depth) }),
    ...(flags.stack === undefined ? {} : { stackBytes: parseSize('--stack', flags.stack) }),
    ...(flags.bytes === undefined ? {} : { bytes: parseSize('--bytes', flags.bytes) }),
    ...(flags.cheap === true ? { cheap: true } : {}),
  };
}

export interface SnapshotFlags extends SharedOptions {
  readonly exe?: string;
  readonly sysroot?: string;
  readonly debugDir?: string;
}

/** For snapshots given as the path of a core. */
export function addSnapshotOptions(command: Command): Command {
  return command
    .option('--exe <file>', 'the program of a core, where it is not where the core says')
    .option('--sysroot <dir>', 'a folder with the files of the host that a core is from')
    .option('--debug-dir <dir>', 'a folder with separate debug files');
}

export function snapshotReferenceFrom(name: string, flags: SnapshotFlags): SnapshotReference {
  return { name, exe: flags.exe, sysroot: flags.sysroot, debugDir: flags.debugDir };
}
