/**
 * Whole cores of real servers at -O2, under load, stopped at many functions: every frame and variable of every thread against gdb.
 * usage: node dist/test/differential/whole-cores.js redis|redis-clang|memcached [DEPTH [CORES]]; takes a minute or two.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareCore } from '../support/compare-gdb.js';
import { buildMemcached, buildRedis } from '../support/fixtures.js';
import { serverCores, ServerLoad } from '../support/server-cores.js';
import {
  memcachedFunctions,
  memcachedRequests,
  redisFunctions,
  redisRequests,
} from '../support/server-load.js';

interface Server {
  readonly program: () => string;
  readonly args: (socket: string) => readonly string[];
  readonly requests: (turn: number) => string;
  readonly functions: readonly string[];
}

const redis = (compiler: 'gcc' | 'clang'): Server => ({
  program: () => buildRedis(compiler),
  args: (socket) => ['--port', '0', '--unixsocket', socket, '--save', '', '--io-threads', '2'],
  requests: redisRequests,
  functions: redisFunctions,
});

const servers: Readonly<Record<string, Server>> = {
  redis: redis('gcc'),
  'redis-clang': redis('clang'),
  memcached: {
    program: buildMemcached,
    args: (socket) => ['-u', 'root', '-s', socket, '-t', '4'],
    requests: memcachedRequests,
    functions: memcachedFunctions,
  },
};

const flexible = 'the length of the array is not in the debug information';

async function main(name: string, depth: number, maxCores: number): Promise<void> {
  const server = servers[name];
  if (server === undefined)
    throw new Error(`no server "${name}"; there are ${Object.keys(servers).join(', ')}`);
  const program = server.program();
  const folder = mkdtempSync(join(tmpdir(), 'whole-cores-'));
  try {
    const socket = join(folder, 'socket');
    using load = new ServerLoad(socket, server.requests);
    const functions = server.functions.slice(0, maxCores);
    const cores = await serverCores({
      program,
      args: server.args(socket),
      folder,
      functions,
      maxSeconds: 120,
    });
    load[Symbol.dispose]();
    const sum = { compared: 0, absent: 0, withheld: 0, flexible: 0, padded: 0, differences: 0, skipped: 0 };
    for (const [place, core] of cores) {
      const tally = compareCore(program, core, { depth });
      sum.compared += tally.compared;
      sum.absent += tally.absent;
      sum.padded += tally.padded;
      // gdb's Python says of a flexible array that it has one element; gdb itself prints none of it.
      const withheld = tally.withheld.filter((each) => !each.endsWith(flexible));
      sum.withheld += withheld.length;
      sum.flexible += tally.withheld.length - withheld.length;
      const differences = tally.differences.filter(
        (each) => !each.endsWith('characters are "", ours undefined'),
      );
      sum.flexible += tally.differences.length - differences.length;
      sum.differences += differences.length;
      sum.skipped += tally.skipped.length;
      for (const each of [
        ...differences,
        ...withheld,
        ...tally.skipped.filter((why) => !why.endsWith('budget')),
      ])
        console.log(`${place}: ${each.slice(0, 300)}`);
    }
    const equal = (100 * sum.compared) / (sum.compared + sum.withheld + sum.padded + sum.differences);
    console.log(`${name}: ${cores.size} cores, ${JSON.stringify(sum)}: ${equal.toFixed(2)}% of leaves equal`);
    if (sum.differences > 0 || cores.size === 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [name = '', depth = '0', cores = '100'] = process.argv.slice(2);
await main(name, Number(depth), Number(cores));
