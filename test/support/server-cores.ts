/** Cores of a real server under load, written by gdb where functions are reached for the first time. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

/** Sends until it is told to stop; the server is stopped again and again, so answers are not waited for. */
export class ServerLoad implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #requests: (turn: number) => string;
  #socket: Socket | undefined;
  #turn = 0;

  constructor(path: string, requests: (turn: number) => string, everyMs = 20) {
    this.#requests = requests;
    this.#timer = setInterval(() => this.#send(path), everyMs);
  }

  #send(path: string): void {
    if (this.#socket === undefined) {
      const socket = connect(path);
      socket.on('error', () => (this.#socket = undefined));
      socket.on('connect', () => (this.#socket = socket));
      socket.resume();
      return;
    }
    this.#socket.write(this.#requests(this.#turn++));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket?.destroy();
  }
}

export interface ServerCores {
  readonly program: string;
  readonly args: readonly string[];
  /** Where cores are to be written. */
  readonly folder: string;
  readonly functions: readonly string[];
  readonly maxSeconds: number;
}

/** The cores by the function that was reached: of those that were within the time. */
export async function serverCores(options: ServerCores): Promise<ReadonlyMap<string, string>> {
  const { program, args, folder, functions, maxSeconds } = options;
  const breakpoints = functions.map((name) => `tbreak ${name}`);
  const stops = functions.flatMap(() => [
    'continue',
    'python name = gdb.selected_frame().name()',
    `python gdb.execute("gcore ${join(folder, 'core')}." + name)`,
  ]);
  const commands = ['set breakpoint pending off', 'start', ...breakpoints, ...stops, 'kill'];
  const settings = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off'];
  const gdb = spawn(
    'gdb',
    [...settings, ...commands.flatMap((each) => ['-ex', each]), '--args', program, ...args],
    { cwd: folder, stdio: 'ignore' },
  );
  const timeout = setTimeout(() => gdb.kill(), maxSeconds * 1000);
  await new Promise((resolve) => gdb.once('exit', resolve));
  clearTimeout(timeout);
  const files = readdirSync(folder).filter((name) => name.startsWith('core.'));
  return new Map(files.map((name) => [name.slice('core.'.length), join(folder, name)]));
}
