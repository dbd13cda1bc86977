import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { heard, tail, threadStates } from './evidence.js';

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** The next line of its output; rejects when the output ends first. */
  nextLine(): Promise<string>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

const maxToldLines = 5;
const maxToldCommand = 200;

/** Starts a program with pipes; it is killed on disposal. A test that fails says in which state it was, and what it said last. */
export function startProgram(
  path: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): RunningProgram {
  const child = spawn(path, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
  });
  const output = createInterface({ input: child.stdout });
  const lines = output[Symbol.asyncIterator]();
  const said: string[] = [];
  output.on('line', (line) => {
    said.push(line);
    if (said.length > maxToldLines) said.shift();
  });
  const tell = (): string => {
    const end = child.exitCode ?? child.signalCode;
    const state = end === null ? threadStates(child.pid ?? -1) : `ended with ${end}`;
    const command = [path, ...args].join(' ').slice(0, maxToldCommand);
    return `  ${command} (${child.pid}): ${state}\n${tail(said.join('\n'), maxToldLines)}`;
  };
  const say = heard(tell);
  return {
    pid: child.pid ?? -1,
    child,
    ended,
    async nextLine() {
      const line = await lines.next();
      if (line.done === true) throw new Error(`${path} ended its output`);
      return line.value;
    },
    async [Symbol.asyncDispose]() {
      // Of what is gone nothing can be seen any more.
      say(tell());
      child.kill('SIGKILL');
      await ended;
    },
  };
}
