/** Servers under load, to take cores of: commands are sent and answers not waited for, for the server is stopped again and again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export class RunningServer implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Returns when the server listens on its socket. A core that it leaves is written to `folder`. */
  static async start(command: readonly string[], socket: string, folder: string): Promise<RunningServer> {
    const child = spawn('sh', ['-c', 'ulimit -c unlimited; exec "$0" "$@"', ...command], {
      cwd: folder,
      stdio: 'ignore',
    });
    const server = new RunningServer(child);
    for (let i = 0; i < 2400 && !existsSync(socket); i++) await sleep(25);
    if (existsSync(socket)) return server;
    await server[Symbol.asyncDispose]();
    throw new Error(`${command[0]} does not listen on ${socket}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends it by a signal, and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}

/** Sends `text(i)` again and again over a few connections. */
export class Load implements Disposable {
  readonly #sockets: readonly Socket[];
  readonly #timer: NodeJS.Timeout;
  #turn = 0;

  constructor(path: string, text: (turn: number) => string) {
    this.#sockets = Array.from({ length: 4 }, () => {
      const socket = connect(path);
      // NB: the server is killed in the middle of it all.
      socket.on('error', () => socket.destroy());
      socket.resume();
      return socket;
    });
    this.#timer = setInterval(() => {
      for (const socket of this.#sockets) {
        if (!socket.destroyed && !socket.writableNeedDrain) socket.write(text(this.#turn++));
      }
    }, 2);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}
