/** redis and memcached at -O2, at several moments: every frame of every thread compared with gdb on the same core, with and without debug files. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareFrames } from '../../support/compare-frames.js';
import { buildMemcached, buildRedis } from '../../support/fixtures.js';
import { Load, RunningServer } from '../../support/loaded-server.js';

interface Server {
  readonly build: () => string;
  readonly args: (socket: string) => readonly string[];
  readonly load: (turn: number) => string;
  /** A function in the middle of a command, for gdb to stop in. */
  readonly inside: string;
  /** A signal that it does not handle. */
  readonly killedBy: NodeJS.Signals;
}

const servers: Readonly<Record<string, Server>> = {
  redis: {
    build: buildRedis,
    args: (socket) => ['--port', '0', '--unixsocket', socket, '--save', ''],
    load: (turn) =>
      Array.from(
        { length: 50 },
        (_, i) => `SET k${turn}:${i} v\r\nZADD z ${i} m${i}\r\nLPUSH l ${i}\r\n`,
      ).join(''),
    inside: 'dictSdsHash',
    killedBy: 'SIGQUIT',
  },
  memcached: {
    build: buildMemcached,
    args: (socket) => ['-u', 'root', '-t', '4', '-m', '16', '-s', socket],
    load: (turn) =>
      Array.from({ length: 50 }, (_, i) => `set k${turn % 50} 0 0 4\r\nabcd\r\nget k${i}\r\n`).join(''),
    inside: 'do_item_alloc',
    killedBy: 'SIGABRT',
  },
};

describe.each(Object.keys(servers))('%s', (name) => {
  const { build, args, load, inside, killedBy } = servers[name] ?? raise(name);
  let folder: string;
  let program: string;
  const cores = new Map<string, string>();

  beforeAll(async () => {
    program = build();
    folder = mkdtempSync(join(tmpdir(), `${name}-frames-`));
    const socket = join(folder, 'socket');
    await using server = await RunningServer.start([program, ...args(socket)], socket, folder);
    await sleep(200);
    await takeCore('idle', server.pid);
    using clients = new Load(socket, load);
    expect(clients).toBeDefined();
    await sleep(300);
    await takeCore('under load', server.pid);
    await takeCore('in a command', server.pid, [`tbreak ${inside}`, 'continue']);
    await server.end(killedBy);
    const left = readdirSync(folder).find((each) => /^core(\.\d+)?$/.test(each));
    if (left !== undefined) cores.set('killed', join(folder, left));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function takeCore(moment: string, pid: number, before: readonly string[] = []): Promise<void> {
    const core = join(folder, moment.replaceAll(' ', '-'));
    const commands = ['set debuginfod enabled off', `attach ${pid}`, ...before, `gcore ${core}`, 'detach'];
    const options = commands.flatMap((each) => ['-ex', each]);
    // NB: the load that the server is under comes from here, so this process must not wait for gdb.
    const gdb = spawn('gdb', ['-q', '-nx', '-batch', ...options], { stdio: 'ignore', timeout: 120_000 });
    const [status] = await once(gdb, 'exit');
    if (status !== 0 || !existsSync(core)) throw new Error(`gdb took no core ${moment}: status ${status}`);
    cores.set(moment, core);
  }

  test.each(['idle', 'under load', 'in a command', 'killed'])('%s', (moment) => {
    const core = cores.get(moment) ?? raise(moment);
    for (const debugFiles of [false, true]) {
      const tally = compareFrames(program, core, { debugFiles });
      expect(tally.differences).toEqual([]);
      expect(tally.withheld).toEqual([]);
      expect(tally.threads).toBeGreaterThanOrEqual(4);
      expect(tally.frames).toBeGreaterThan(15);
    }
  });
});

function raise(what: string): never {
  throw new Error(`there is no ${what}`);
}
