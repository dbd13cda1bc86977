/** A real program at -O2, stopped where commands are served: every frame and local of every thread compared with gdb. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareCore } from '../../support/compare-gdb.js';
import { buildRedis } from '../../support/fixtures.js';

const functions = ['setGenericCommand', 'dictSdsHash', 'zslInsert', 'call', 'addReplyBulk', 'hashTypeSet'];

/** Sends commands until it is told to stop; the server is stopped again and again, so answers are not waited for. */
class Client implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #socket: Socket | undefined;
  #turn = 0;

  constructor(path: string) {
    this.#timer = setInterval(() => this.#send(path), 20);
  }

  #send(path: string): void {
    if (this.#socket === undefined) {
      const socket = connect(path);
      socket.on('error', () => (this.#socket = undefined));
      socket.on('connect', () => (this.#socket = socket));
      socket.resume();
      return;
    }
    const i = this.#turn++ % 300;
    const commands = [
      `SET key:${i} value-${i}`,
      `ZADD scores ${i} member:${i}`,
      `HSET h f${i} ${i}`,
      `GET key:${i}`,
    ];
    this.#socket.write(commands.map((command) => `${command}\r\n`).join(''));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket?.destroy();
  }
}

describe('redis', () => {
  let folder: string;
  let program: string;

  const coreOf = (name: string): string => join(folder, `core.${name}`);

  beforeAll(async () => {
    program = buildRedis();
    folder = mkdtempSync(join(tmpdir(), 'redis-gdb-'));
    const socket = join(folder, 'socket');
    using client = new Client(socket);
    expect(client).toBeDefined();
    const commands = functions.flatMap((name, i) => [
      `tbreak ${name}`,
      i === 0 ? 'run' : 'continue',
      `gcore ${coreOf(name)}`,
    ]);
    const options = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off'];
    const server = [program, '--port', '0', '--unixsocket', socket, '--save', ''];
    const gdb = spawn(
      'gdb',
      [...options, ...[...commands, 'kill'].flatMap((each) => ['-ex', each]), '--args', ...server],
      {
        cwd: folder,
        stdio: 'ignore',
      },
    );
    const timeout = setTimeout(() => gdb.kill(), 120_000);
    const status = await new Promise<number | null>((resolve) => gdb.once('exit', resolve));
    clearTimeout(timeout);
    expect(status).toBe(0);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(functions)('in %s', (name) => {
    const tally = compareCore(program, coreOf(name));
    expect(tally.differences).toEqual([]);
    expect(tally.withheld).toEqual([]);
    expect(tally.compared).toBeGreaterThan(50);
  });
});
