/**
 * Programs and a folder that live as long as a demo or a test of automation does: all are killed and removed on disposal, and where this
 * process is killed itself, the kernel kills them (PR_SET_PDEATHSIG).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { StillframeError } from '../../../format/error.js';

const startTimeoutMs = 60_000;
const maxLines = 10_000;

export interface StartOptions {
  /** Its first line of output, on either stream, that matches says that it is ready. */
  readonly ready: RegExp;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Started {
  readonly pid: number;
  readonly process: ChildProcess;
  /** The match of `ready`. */
  readonly ready: RegExpExecArray;
  /** What it wrote, the last lines of it. */
  readonly lines: readonly string[];
  /** Lines to its standard input. */
  tell(line: string): void;
  /** Kills it and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface Stage extends AsyncDisposable {
  readonly folder: string;
  /** What the service on it is called: its own name, so that no rule of one stage looks into the service of another. */
  readonly serviceName: string;
  /** For each program that is started here. */
  readonly environment: NodeJS.ProcessEnv;
  start(path: string, args: readonly string[], options: StartOptions): Promise<Started>;
}

export function openStage(name: string, serviceName?: string): Stage {
  const folder = mkdtempSync(join(tmpdir(), `stillframe-${name}-`));
  const started: Started[] = [];
  const environment: NodeJS.ProcessEnv = { ...process.env, XDG_DATA_HOME: join(folder, 'data') };
  // Test runners set these, and they change how libraries behave.
  delete environment['NODE_ENV'];
  delete environment['VITEST'];
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  // For an end that disposes of nothing: whoever read the output has gone.
  const atExit = (): void => {
    for (const { process: child } of started) child.kill('SIGKILL');
    remove();
  };
  process.once('exit', atExit);
  return {
    folder,
    serviceName: serviceName ?? `checkout-${folder.slice(-6)}`,
    environment,
    async start(path, args, options) {
      const program = launch(path, args, { ...environment, ...options.environment });
      started.push(program.started);
      await program.isReady(options.ready);
      return program.started;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.toReversed().map((program) => program.kill()));
      process.off('exit', atExit);
      remove();
    },
  };
}

function launch(
  path: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): { readonly started: Started; isReady(pattern: RegExp): Promise<void> } {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', path, ...args], { env: environment });
  const lines: string[] = [];
  let ready: RegExpExecArray | undefined;
  const waiting: { pattern: RegExp; done: () => void }[] = [];
  const take = (line: string): void => {
    lines.push(line);
    if (lines.length > maxLines) lines.shift();
    const [first] = waiting;
    const match = first?.pattern.exec(line);
    if (match === undefined || match === null) return;
    ready = match;
    waiting.shift()?.done();
  };
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', take);
  child.stdin.on('error', () => undefined); // It ended; its exit says so.
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (status, signal) => resolve(`it ended with ${status ?? signal}`));
  });
  const started: Started = {
    pid: child.pid ?? -1,
    process: child,
    get ready() {
      if (ready === undefined) throw new StillframeError('internal', `${path} is not ready`);
      return ready;
    },
    lines,
    tell: (line) => child.stdin.write(`${line}\n`),
    async kill(signal = 'SIGKILL') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
  return {
    started,
    async isReady(pattern) {
      const isReady = new Promise<undefined>((resolve) => {
        waiting.push({ pattern, done: () => resolve(undefined) });
      });
      const late = sleep(startTimeoutMs, `it was not ready within ${startTimeoutMs / 1000} s`, {
        ref: false,
      });
      const failure = await Promise.race([isReady, ended, late]);
      if (failure === undefined) return;
      throw new StillframeError(
        'unreachable',
        `cannot start ${path}: ${failure}: ${lines.slice(-5).join(' | ')}`,
      );
    },
  };
}
