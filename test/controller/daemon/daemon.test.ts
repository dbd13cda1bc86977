import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ChannelCredentials, Client } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../../support/cli.js';
import { makeCertificates } from '../../support/tls.js';

/** The daemon as it is shipped, without any agent: how it starts, where it listens, how it ends. */
let place: Workplace;

beforeEach(() => {
  place = openWorkplace();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const alone = { agents: [] };

function ended({ process: child }: StartedProgram): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? child.signalCode);
    else child.once('exit', (status, signal) => resolve(status ?? signal));
  });
}

function health(address: string, service: string): Promise<number> {
  const client = new Client(address, ChannelCredentials.createInsecure());
  const bytes = Buffer.from(service);
  const request = Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
  return new Promise((resolve, reject) => {
    const same = (value: Buffer): Buffer => value;
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, request, (error, answer) => {
      client.close();
      if (error !== null) reject(error);
      // HealthCheckResponse { status = 1 }
      else resolve(answer?.[1] ?? 0);
    });
  });
}

describe('starting and stopping', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'ready with one line; %s ends it with 0, and its socket with it',
    async (signal) => {
      const controller = await place.startController(alone);
      const socket = join(place.folder, 'controller.sock');
      expect(controller.lines).toEqual([`stillframe controller ready, listening on unix:${socket}`]);
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      for (const service of ['', 'stillframe.v1.Controller', 'stillframe.v1.FleetGateway']) {
        expect(await health(`unix:${socket}`, service)).toBe(1);
      }
      const startMs = Date.now();
      controller.process.kill(signal);
      expect(await ended(controller)).toBe(0);
      expect(Date.now() - startMs).toBeLessThan(20_000);
      expect(existsSync(socket)).toBe(false);
      expect(
        readdirSync(join(place.folder, 'controller')).filter((name) => /pid|scratch/.test(name)),
      ).toEqual([]);
    },
  );

  test('logs are JSON, a line each', async () => {
    const controller = await place.startController(alone);
    let log = '';
    controller.process.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const isRead = once(controller.process, 'close');
    controller.process.kill('SIGTERM');
    await isRead;
    const lines = log.split('\n').filter((line) => line !== '');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toContain('stopped');
  });

  test('a client that holds a stream open does not keep it from ending', async () => {
    const controller = await place.startController(alone);
    const client = new Client(
      place.environment['STILLFRAME_CONTROLLER'] ?? '',
      ChannelCredentials.createInsecure(),
    );
    const same = (value: Buffer): Buffer => value;
    const stream = client.makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      same,
      same,
      Buffer.alloc(0),
    );
    stream.on('error', () => undefined);
    const seen: number[] = [];
    stream.on('data', (answer: Buffer) => seen.push(answer[1] ?? 0));
    await expect.poll(() => seen).toEqual([1]);
    controller.process.kill('SIGTERM');
    expect(await ended(controller)).toBe(0);
    // It was told before the end that nothing is served any more.
    await expect.poll(() => seen).toEqual([1, 2]);
    client.close();
  });
});

describe('one daemon a store', () => {
  test('a second is refused and names the first; after a kill -9 the next one takes over', async () => {
    const first = await place.startController(alone);
    const second = place.startController({ ...alone, listen: `unix:${join(place.folder, 'second.sock')}` });
    await expect(second).rejects.toThrow(
      `cannot use the store "${join(place.folder, 'controller')}": the controller with pid ${first.pid} uses it`,
    );
    first.process.kill('SIGKILL');
    await ended(first);
    const third = await place.startController(alone);
    const pid = readFileSync(join(place.folder, 'controller', 'controller.pid'), 'utf8').trim();
    expect(pid).toBe(String(third.pid));
  });

  test('what a killed one left of exports is cleared away', async () => {
    const scratch = join(place.folder, 'controller', 'scratch');
    mkdirSync(join(scratch, 'export-x'), { recursive: true });
    writeFileSync(join(scratch, 'export-x', 'file'), 'half a core');
    await place.startController(alone);
    expect(readdirSync(scratch)).toEqual([]);
    expect(statSync(scratch).mode & 0o777).toBe(0o700);
  });
});

describe('what is refused at the start', () => {
  test.each<[string, string[], number, string]>([
    ['PostgreSQL', ['--store', 'postgres://eva:secret@db/x'], 6, 'PostgreSQL comes with the fleet store'],
    [
      'a store that is none',
      ['--store', 'mysql://eva:secret@db/x'],
      2,
      '--store: cannot parse "mysql://…@db/x"',
    ],
    ['TCP without TLS', ['--listen', '0.0.0.0:0'], 5, 'cannot listen on 0.0.0.0 without TLS'],
    ['HTTP without TLS', ['--http', '0.0.0.0:0'], 5, 'cannot listen on 0.0.0.0 without TLS'],
    ['HTTP on a socket', ['--http', 'unix:/tmp/x'], 2, '--http wants HOST:PORT'],
    ['half of TLS', ['--tls-cert', 'x'], 2, '--tls-cert, --tls-key and --tls-ca go together'],
    ['an agent that is no address', ['--agent', 'nonsense'], 2, 'cannot parse address "nonsense"'],
    [
      'TLS files that are none',
      [
        '--listen',
        '127.0.0.1:0',
        '--tls-cert',
        '/dev/null',
        '--tls-key',
        '/dev/null',
        '--tls-ca',
        '/dev/null',
      ],
      6,
      'cannot use the TLS files',
    ],
  ])('%s', async (_, args, status, message) => {
    const store = args.includes('--store') ? [] : ['--store', `sqlite:${join(place.folder, 'store')}`];
    const listen = args.includes('--listen') ? [] : ['--listen', `unix:${join(place.folder, 'c.sock')}`];
    const result = await place.run('controller', ...args, ...store, ...listen);
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toContain('secret');
    expect(result).toMatchObject({ status, stdout: '' });
  });

  test('an unknown option; help is no error', async () => {
    expect(await place.run('controller', '--frobnicate')).toMatchObject({ status: 2 });
    expect(await place.run('controller', '--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Examples:') as string,
    });
  });
});

describe('its ports', () => {
  test('HTTP: healthy, ready, measured', async () => {
    const controller = await place.startController({ ...alone, args: ['--http', '127.0.0.1:0'] });
    const [url = ''] = /http:\/\/\S+/.exec(controller.lines[0] ?? '') ?? [];
    for (const path of ['/healthz', '/readyz']) expect((await fetch(url + path)).status).toBe(200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('stillframe_agents{state="connected"} 0');
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  test('hostile bytes on either port do not hurt it', async () => {
    const controller = await place.startController({
      agents: [],
      listen: '127.0.0.1:0',
      args: ['--http', '127.0.0.1:0'],
    });
    const ports = (controller.lines[0] ?? '').match(/(?<=127\.0\.0\.1:)\d+/g) ?? [];
    expect(ports).toHaveLength(2);
    const attacks = [
      randomBytes(100_000),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(50_000)]),
      Buffer.from(`POST /api/v1/alerts HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n${'x'.repeat(10_000)}`),
      Buffer.from('\u0016\u0003\u0001\u0002\u0000'),
    ];
    await Promise.all(
      ports.flatMap((port) =>
        attacks.map(
          (bytes) =>
            new Promise<void>((resolve) => {
              const raw = connect(Number(port), '127.0.0.1', () => raw.write(bytes));
              raw.on('error', () => undefined);
              raw.once('close', () => resolve());
              raw.resume();
              setTimeout(() => raw.destroy(), 1000);
            }),
        ),
      ),
    );
    expect(controller.process.exitCode).toBeNull();
    expect(await health(place.environment['STILLFRAME_CONTROLLER'] ?? '', '')).toBe(1);
    expect((await fetch(`http://127.0.0.1:${ports[1]}/healthz`)).status).toBe(200);
  });

  test('with TLS: gRPC wants a certificate of the authority, the unix socket does not', async () => {
    const { server, client, stranger } = makeCertificates(place.folder);
    const socket = `unix:${join(place.folder, 'controller.sock')}`;
    await place.startController({
      agents: [],
      listen: '127.0.0.1:0',
      args: ['--listen', socket, '--tls-cert', server.cert, '--tls-key', server.key, '--tls-ca', server.ca],
    });
    const rules = (...args: string[]): Promise<{ status: number | null }> =>
      place.run('rules', 'ls', ...args);
    const files = (of: typeof client): string[] => [
      '--tls-cert',
      of.cert,
      '--tls-key',
      of.key,
      '--tls-ca',
      of.ca,
    ];
    // What the controller answers matters little here, that it does.
    expect((await rules(...files(client))).status).not.toBe(7);
    expect((await rules(...files(stranger))).status).toBe(7);
    expect((await rules()).status).toBe(7);
    expect((await rules('--controller', socket)).status).not.toBe(7);
  });
});
