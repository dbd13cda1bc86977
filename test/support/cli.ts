/**
 * Drives the shipped command line against agents and stores of the test's own. All processes are killed and all
 * folders removed when the `Workplace` is disposed, also after a failed test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasFailed, heard, tail, threadStates } from './evidence.js';
import { repositoryRoot } from './paths.js';

const program = join(repositoryRoot, 'bin', 'stillframe.js');
const defaultTimeoutMs = 120_000;

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Workplace extends AsyncDisposable {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Starts `stillframe agent`; resolves when it is ready. */
  startAgent(options?: { listen?: string; args?: readonly string[] }): Promise<ChildProcess>;
  /** Starts `stillframe controller` on a store in the folder, and has commands use it; resolves when it is ready. */
  startController(options?: ControllerOptions): Promise<StartedProgram>;
  /** Starts any program; resolves at its first line, at the first one that matches, or when it is started. */
  startProgram(
    path: string,
    args: readonly string[],
    options?: { ready?: RegExp | 'started'; stdin?: boolean },
  ): Promise<StartedProgram>;
  run(...args: string[]): Promise<CliResult>;
  /** Runs with `--json`, demands status 0, and parses each line. */
  json(...args: string[]): Promise<unknown[]>;
}

export interface ControllerOptions {
  readonly listen?: string;
  /** Addresses of agents to dial; the workplace's own when not given. */
  readonly agents?: readonly string[];
  readonly args?: readonly string[];
}

export interface StartedProgram {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly lines: string[];
}

interface WatchedProgram {
  readonly child: ChildProcess;
  readonly command: string;
  readonly lines: readonly string[];
  readonly log: () => string;
}

const maxToldCommands = 8;
const maxToldLines = 20;

function describeProgram({ child, command, lines, log }: WatchedProgram): string {
  const end = child.exitCode ?? child.signalCode;
  const state = end === null ? threadStates(child.pid ?? -1) : `ended with ${end}`;
  return `  ${command} (${child.pid}): ${state}\n${tail([...lines.slice(-3), log()].join('\n'), maxToldLines)}`;
}

export function openWorkplace(): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
  const children: ChildProcess[] = [];
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    XDG_DATA_HOME: join(folder, 'data'),
    STILLFRAME_AGENT: `unix:${join(folder, 'agent.sock')}`,
    NO_COLOR: '1',
  };
  // Test runners set this, and it changes how libraries behave.
  delete environment['STILLFRAME_CONTROLLER'];
  delete environment['NODE_ENV'];
  delete environment['VITEST'];

  const track = (child: ChildProcess): ChildProcess => {
    children.push(child);
    return child;
  };

  const programs: WatchedProgram[] = [];
  const commands: string[] = [];
  const told = (): string => [...commands.slice(-maxToldCommands), ...programs.map(describeProgram)].join('');
  const tell = async (): Promise<string> => {
    const before = told();
    const asked = await run(['points', '--json']).catch((error: unknown) => ({ stdout: String(error) }));
    return `${before}  points:\n${tail(asked.stdout, maxToldLines)}`;
  };
  const say = heard(tell);

  const run = (args: readonly string[]): Promise<CliResult> =>
    new Promise((resolve, reject) => {
      const beganMs = performance.now();
      const child = track(spawn(process.execPath, [program, ...args], { env: environment }));
      let stdout = '';
      let stderr = '';
      child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`stillframe ${args.join(' ')} took too long\n${stdout}\n${stderr}\n${told()}`));
      }, defaultTimeoutMs);
      child.once('error', reject);
      child.once('close', (status) => {
        clearTimeout(timer);
        const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
        commands.push(
          `  stillframe ${args.join(' ')}: ${status ?? 'killed'} after ${seconds} s\n${tail(stderr, 5)}`,
        );
        resolve({ status, stdout, stderr });
      });
    });

  const startProgram: Workplace['startProgram'] = async (path, args, options = {}) => {
    const stdin = options.stdin === true ? 'pipe' : 'ignore';
    const child = track(spawn(path, args, { env: environment, stdio: [stdin, 'pipe', 'pipe'] }));
    const lines: string[] = [];
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    programs.push({ child, command: [path, ...args].join(' '), lines, log: () => log });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${path} was not ready: ${log}`)), defaultTimeoutMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      if (child.stdout === null) throw new Error('no stdout');
      createInterface({ input: child.stdout }).on('line', (line) => {
        lines.push(line);
        if (options.ready instanceof RegExp && !options.ready.test(line)) return;
        done();
      });
      child.once('error', reject);
      if (options.ready === 'started') child.once('spawn', done);
      // What it said last is read by then, which is not so at its exit.
      child.once('close', (status, signal) => {
        clearTimeout(timer);
        reject(new Error(`${path} ended with ${status ?? signal}: ${log}`));
      });
    });
    return { process: child, pid: child.pid ?? -1, lines };
  };

  return {
    folder,
    environment,
    startProgram,
    async startAgent({ listen = environment['STILLFRAME_AGENT'] ?? '', args = [] } = {}) {
      const spool = join(folder, 'spool');
      const all = [program, 'agent', '--listen', listen, '--spool', spool, ...args];
      return (await startProgram(process.execPath, all)).process;
    },
    async startController({ listen, agents, args = [] } = {}) {
      const address = listen ?? `unix:${join(folder, 'controller.sock')}`;
      const dialed = agents ?? [environment['STILLFRAME_AGENT'] ?? ''];
      const started = await startProgram(process.execPath, [
        program,
        'controller',
        '--listen',
        address,
        '--store',
        `sqlite:${join(folder, 'controller')}`,
        ...dialed.flatMap((agent) => ['--agent', agent]),
        ...args,
      ]);
      const [bound] = /(?<=listening on )[^, ]+/.exec(started.lines[0] ?? '') ?? [address];
      environment['STILLFRAME_CONTROLLER'] = bound;
      return started;
    },
    run: (...args) => run(args),
    async json(...args) {
      const result = await run([...args, '--json']);
      if (result.status !== 0) {
        throw new Error(
          `stillframe ${args.join(' ')}: status ${result.status}\n${result.stdout}${result.stderr}`,
        );
      }
      return result.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line): unknown => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      // Of what is gone nothing can be asked any more.
      say(hasFailed() ? await tell() : told());
      for (const child of children.toReversed()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
        await ended;
        clearTimeout(timer);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
