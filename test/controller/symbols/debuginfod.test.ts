import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Debuginfod, debuginfodFromEnvironment } from '../../../controller/symbols/debuginfod.js';
import { findDebugFiles } from '../../../controller/symbols/find-debug-files.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { program } from './programs.js';

const root = mkdtempSync(join(tmpdir(), 'stillframe-debuginfod-'));
const served = join(root, 'served');
const stripped = join(root, 'everything');
let buildId = '';

/** Splits a program; the debug file goes to the folder that is served. */
beforeAll(() => {
  mkdirSync(served);
  const whole = program({ compiler: 'gcc', opt: '-O2', dwarf: 5 });
  buildId = openElf(bufferSource(whole, readFileSync(whole))).buildId ?? '';
  copyFileSync(whole, stripped);
  execFileSync('objcopy', ['--only-keep-debug', stripped, join(served, 'everything.debug')]);
  execFileSync('strip', [stripped]);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
const newCache = (): string => join(root, `cache${folders++}`);

function client(
  server: string,
  change: Partial<ConstructorParameters<typeof Debuginfod>[0]> = {},
): Debuginfod {
  return new Debuginfod({
    servers: [server],
    cacheFolder: newCache(),
    timeoutMs: 20_000,
    maxTimeMs: 60_000,
    maxBytes: 100_000_000,
    ...change,
  });
}

describe('a real debuginfod on this machine', () => {
  let daemon: ChildProcess | undefined;
  let url = '';

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    daemon = spawn('debuginfod', ['-F', '-p', String(port), '-d', join(root, 'index.sqlite'), served], {
      stdio: 'ignore',
    });
    for (let i = 0; i < 1200; i++) {
      const metrics = await fetch(`${url}/metrics`).then(
        async (response) => await response.text(),
        () => '',
      );
      if (/^thread_work_total\{role="scan"\} [1-9]/m.test(metrics)) break;
      await sleep(100);
    }
  });
  afterAll(async () => {
    if (daemon === undefined) return;
    daemon.kill();
    if (daemon.exitCode === null) await once(daemon, 'exit');
  });

  test('gives a debug file, which is used and found by elfutils in the same cache', async () => {
    const cacheFolder = newCache();
    const fetching = client(url, { cacheFolder });
    const elf = openElf(bufferSource(stripped, readFileSync(stripped)));
    const options = {
      directories: [],
      cached: (id: string): string | undefined => fetching.cachedPath(id),
    };
    expect(findDebugFiles(elf, stripped, options).debug).toBeUndefined();
    const path = await fetching.fetch(buildId);
    expect(path).toBe(join(cacheFolder, buildId, 'debuginfo'));
    expect(readFileSync(path ?? '')).toEqual(readFileSync(join(served, 'everything.debug')));
    expect(statSync(path ?? '').mode & 0o777).toBe(0o400);
    expect(findDebugFiles(elf, stripped, options).debug?.buildId).toBe(buildId);
    expect(await elfutilsFind('http://127.0.0.1:1', cacheFolder)).toBe(path);
  });

  test('what elfutils fetched is not fetched again', async () => {
    const cacheFolder = newCache();
    const path = await elfutilsFind(url, cacheFolder);
    const offline = client('http://127.0.0.1:1', { cacheFolder });
    expect(offline.cachedPath(buildId)).toBe(path);
    expect(await offline.fetch(buildId)).toBe(path);
  });

  test('a file that it has not', async () => {
    const cacheFolder = newCache();
    const fetching = client(url, { cacheFolder });
    const other = 'ab'.repeat(20);
    expect(await fetching.fetch(other)).toBeUndefined();
    expect(fetching.cachedPath(other)).toBeUndefined();
    // The miss is remembered: this one would fail if it asked.
    expect(await client('http://127.0.0.1:1', { cacheFolder }).fetch(other)).toBeUndefined();
  });

  test('the next server is asked where one fails', async () => {
    const fetching = client(url, { servers: ['http://127.0.0.1:1/', `${url}/`] });
    expect(await fetching.fetch(buildId)).toBeDefined();
  });
});

/** The path that debuginfod-find prints. */
async function elfutilsFind(url: string, cacheFolder: string): Promise<string> {
  const env = { ...process.env, DEBUGINFOD_URLS: url, DEBUGINFOD_CACHE_PATH: cacheFolder };
  const { stdout } = await promisify(execFile)('debuginfod-find', ['debuginfo', buildId], { env });
  return stdout.trim();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('a server that is not to be trusted', () => {
  let server: Server | undefined;

  afterEach(async () => {
    if (server === undefined) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    server = undefined;
  });

  async function serve(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('another file', async () => {
    const url = await serve((_, response) =>
      response.end(readFileSync(program({ compiler: 'clang', opt: '-O0', dwarf: 4 }))),
    );
    const cacheFolder = newCache();
    const fetching = client(url, { cacheFolder });
    await expect(fetching.fetch(buildId)).rejects.toThrow(
      expect.objectContaining({
        code: 'mismatch',
        message: expect.stringContaining(`cannot use ${url}/buildid/${buildId}/debuginfo: it has build id `),
      }),
    );
    expect(fetching.cachedPath(buildId)).toBeUndefined();
    expect(execFileSync('find', [cacheFolder, '-type', 'f'], { encoding: 'utf8' })).toBe('');
  });

  test('no ELF file', async () => {
    const url = await serve((_, response) => response.end('<html>login</html>'));
    await expect(client(url).fetch(buildId)).rejects.toThrow(expect.objectContaining({ code: 'bad-data' }));
  });

  test('more than is wanted', async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(200_000)));
    await expect(client(url, { maxBytes: 100_000 }).fetch(buildId)).rejects.toThrow(
      expect.objectContaining({
        code: 'limit',
        message: `cannot fetch ${url}/buildid/${buildId}/debuginfo: it has more than 100000 bytes`,
      }),
    );
  });

  test('silence', async () => {
    const url = await serve((_, response) => {
      response.write('x');
    });
    await expect(client(url, { timeoutMs: 300 }).fetch(buildId)).rejects.toThrow(
      expect.objectContaining({
        code: 'unreachable',
        message: `cannot fetch ${url}/buildid/${buildId}/debuginfo: nothing came for 0.3 s`,
      }),
    );
  });

  test('a trickle', async () => {
    const url = await serve((_, response) => {
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    });
    await expect(client(url, { maxTimeMs: 600 }).fetch(buildId)).rejects.toThrow(
      expect.objectContaining({ code: 'unreachable' }),
    );
  });

  test('an error is no miss', async () => {
    const url = await serve((_, response) => response.writeHead(503).end());
    const cacheFolder = newCache();
    const message = `cannot fetch ${url}/buildid/${buildId}/debuginfo: HTTP status 503`;
    for (let i = 0; i < 2; i++) {
      await expect(client(url, { cacheFolder }).fetch(buildId)).rejects.toThrow(
        expect.objectContaining({ code: 'unreachable', message }),
      );
    }
  });

  test('the user ends it', async () => {
    const url = await serve(() => {});
    const stop = new AbortController();
    const fetching = client(url).fetch(buildId, stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 100);
    await expect(fetching).rejects.toThrow(/: enough$/);
  });
});

describe('what the environment says', () => {
  test('nothing is asked unless DEBUGINFOD_URLS is set', () => {
    expect(debuginfodFromEnvironment({})).toBeUndefined();
    expect(debuginfodFromEnvironment({ DEBUGINFOD_URLS: ' ' })).toBeUndefined();
    expect(debuginfodFromEnvironment({ DEBUGINFOD_URLS: 'ftp://example.org' })).toBeUndefined();
  });

  test.each([
    ['its own variable', (home: string) => ({ DEBUGINFOD_CACHE_PATH: join(home, 'own') }), 'own'],
    ['XDG', (home: string) => ({ XDG_CACHE_HOME: join(home, 'xdg') }), 'xdg/debuginfod_client'],
    ['the home folder', (home: string) => ({ HOME: home }), '.cache/debuginfod_client'],
  ])('the cache: by %s', (_, environment, folder) => {
    const home = newCache();
    const path = join(home, folder, buildId);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'debuginfo'), 'x');
    const variables = { HOME: '/nonexistent', DEBUGINFOD_URLS: 'http://127.0.0.1:1', ...environment(home) };
    expect(debuginfodFromEnvironment(variables)?.cachedPath(buildId)).toBe(join(path, 'debuginfo'));
  });

  test('a build id that leads elsewhere is none', async () => {
    const fetching = client('http://127.0.0.1:1');
    for (const id of ['', '..', '../../etc', 'AB'.repeat(20), 'a', 'abc']) {
      expect(fetching.cachedPath(id)).toBeUndefined();
      expect(await fetching.fetch(id)).toBeUndefined();
    }
  });
});
