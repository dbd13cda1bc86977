import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControllerClient } from '../../../controller/rpc/controller-client.js';
import type { TlsFiles } from '../../../controller/rpc/tls.js';
import type { ControllerApi, SnapHooks, SnapOptions } from '../../../controller/service/controller-api.js';
import { parseEndpoint } from '../../../format/endpoint.js';
import { pointNamed, serveFake, summaryNamed, type ServedController } from '../../support/fake-controller.js';
import { makeCertificates } from '../../support/tls.js';

let folder: string;
const open: (Disposable | AsyncDisposable)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
});
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) {
    if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
    else each[Symbol.dispose]();
  }
  rmSync(folder, { recursive: true, force: true });
});

const socket = (): string => `unix:${join(folder, 'controller.sock')}`;

async function serve(
  methods: Partial<ControllerApi>,
  listen = socket(),
  tls?: TlsFiles,
): Promise<ServedController> {
  const served = await serveFake(methods, { listen, ...(tls === undefined ? {} : { tls }) });
  open.push(served);
  return served;
}

function dial(address: string, tls?: TlsFiles, connectTimeoutMs = 30_000): ControllerClient {
  const client = new ControllerClient({ endpoint: parseEndpoint(address), tls, connectTimeoutMs });
  open.push(client);
  return client;
}

const point = pointNamed('0000000000p1');
const options: SnapOptions = {
  target: 'name:orders',
  location: 'orders.c:70',
  captures: [],
  engine: '',
  bounds: {},
  hits: 1,
  minIntervalNs: 0n,
  everyProcess: false,
  waitMs: 20_000,
  detach: false,
};

/** A snap that is armed and waits until it is given up. */
function waiting(state: { aborted?: boolean; asked?: number }): ControllerApi['snap'] {
  return async (_, hooks) => {
    state.asked = (state.asked ?? 0) + 1;
    hooks.armed?.(point);
    hooks.progress?.('0 hits');
    await new Promise<void>((resolve) => hooks.signal?.addEventListener('abort', () => resolve()));
    state.aborted = true;
    return { point, snapshots: [] };
  };
}

function armed(): { hooks: SnapHooks; isArmed: Promise<void>; said: string[]; ids: string[] } {
  let arm: () => void = () => undefined;
  const said: string[] = [];
  const ids: string[] = [];
  return {
    isArmed: new Promise((resolve) => (arm = resolve)),
    said,
    ids,
    hooks: { armed: () => arm(), progress: (why) => said.push(why), snapshot: ({ id }) => ids.push(id) },
  };
}

describe('a controller that is not there', () => {
  test('no such socket', async () => {
    const missing = `unix:${join(folder, 'none.sock')}`;
    await expect(dial(missing).points()).rejects.toMatchObject({
      code: 'unreachable',
      message: `cannot reach the controller at ${missing}: connect ENOENT ${join(folder, 'none.sock')}`,
      hint: 'start one with `stillframe controller`, or leave out --controller and STILLFRAME_CONTROLLER',
    });
  });

  test('nobody listens at the port', async () => {
    const served = await serve({}, '127.0.0.1:0');
    await served[Symbol.asyncDispose]();
    await expect(dial(served.address).points()).rejects.toMatchObject({
      code: 'unreachable',
      message: `cannot reach the controller at ${served.address}: connect ECONNREFUSED ${served.address}`,
    });
  });

  test('somebody listens who says nothing', async () => {
    const { createServer } = await import('node:net');
    const sockets: Socket[] = [];
    const server = createServer((each) => sockets.push(each));
    await new Promise<void>((resolve) => server.listen(join(folder, 'mute.sock'), resolve));
    try {
      await expect(dial(`unix:${join(folder, 'mute.sock')}`, undefined, 3000).points()).rejects.toMatchObject(
        {
          code: 'unreachable',
          message: expect.stringContaining('no answer within 3 s') as string,
        },
      );
    } finally {
      for (const each of sockets) each.destroy();
      server.close();
    }
  });

  test('it goes away during a call', async () => {
    const served = await serve({ points: () => new Promise(() => undefined) });
    const client = dial(served.address);
    const asked = client.points();
    setTimeout(() => served.kill(), 200);
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('without TLS it is not dialed beyond this host', () => {
    expect(() => dial('192.0.2.1:7443')).toThrow('cannot dial 192.0.2.1 without TLS');
  });
});

describe('a caller that hangs up', () => {
  test('removes its point', async () => {
    const state: { aborted?: boolean } = {};
    const served = await serve({ snap: waiting(state) });
    const client = dial(served.address);
    const { hooks, isArmed } = armed();
    const asked = client.snap({ ...options, waitMs: 1 }, hooks).catch(() => undefined);
    await isArmed;
    expect(state.aborted).toBeUndefined();
    client[Symbol.dispose]();
    await expect.poll(() => state.aborted).toBe(true);
    await asked;
  });

  test('leaves one that is detached', async () => {
    let signal: AbortSignal | undefined;
    let isDone = false;
    const served = await serve({
      snap: async (_, hooks) => {
        ({ signal } = hooks);
        hooks.armed?.(point);
        await new Promise((resolve) => setTimeout(resolve, 500));
        isDone = true;
        return { point, snapshots: [] };
      },
    });
    const client = dial(served.address);
    const { hooks, isArmed } = armed();
    const asked = client.snap({ ...options, detach: true }, hooks).catch(() => undefined);
    await isArmed;
    client[Symbol.dispose]();
    await asked;
    await expect.poll(() => isDone).toBe(true);
    expect(signal).toBeUndefined();
  });

  test('by Ctrl-C: the point is removed, and what came so far is the outcome', async () => {
    let remove: () => void = () => undefined;
    const removed: string[] = [];
    const served = await serve({
      snap: async (_, hooks) => {
        hooks.armed?.(point);
        hooks.snapshot?.({ id: 's1' });
        await new Promise<void>((resolve) => (remove = resolve));
        return { point: { ...point, state: 'ended', why: 'removed' }, snapshots: [{ id: 's1' }] };
      },
      removePoints: (ids) => {
        removed.push(...ids);
        remove();
        return Promise.resolve([point]);
      },
    });
    const { hooks, isArmed, ids } = armed();
    const interrupt = new AbortController();
    const asked = dial(served.address).snap({ ...options, hits: 5 }, { ...hooks, signal: interrupt.signal });
    await isArmed;
    interrupt.abort();
    expect(await asked).toMatchObject({ point: { state: 'ended' }, snapshots: [{ id: 's1' }] });
    expect({ removed, ids }).toEqual({ removed: [point.id], ids: ['s1'] });
  });

  test('by Ctrl-C before anything is armed', async () => {
    const state: { aborted?: boolean } = {};
    const served = await serve({
      snap: async (_, hooks) => {
        await new Promise<void>((resolve) => hooks.signal?.addEventListener('abort', () => resolve()));
        state.aborted = true;
        return { point, snapshots: [] };
      },
    });
    const interrupt = new AbortController();
    const asked = dial(served.address).snap(options, { signal: interrupt.signal });
    setTimeout(() => interrupt.abort(), 300);
    await expect(asked).rejects.toMatchObject({
      code: 'expired',
      message: 'the command was interrupted before it fired',
    });
    await expect.poll(() => state.aborted).toBe(true);
  });
});

describe('a controller that is restarted while a command waits', () => {
  test.each(['stop', 'kill'] as const)('by %s: the command attaches to its point again', async (how) => {
    const state: { aborted?: boolean } = {};
    const first = await serve({ snap: waiting(state) });
    const { hooks, isArmed, said, ids } = armed();
    const asked = dial(first.address).snap(options, hooks);
    await isArmed;
    first[how]();
    await first[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let looks = 0;
    await serve({
      points: (reference) => {
        expect(reference).toBe(point.id);
        looks += 1;
        return Promise.resolve([looks < 2 ? { ...point, why: '7 hits' } : { ...point, state: 'ended' }]);
      },
      snapshots: ({ point: of }) => {
        expect(of).toBe(point.id);
        return Promise.resolve(looks < 2 ? [] : [summaryNamed('s9', { point: point.id })]);
      },
    });
    expect(await asked).toMatchObject({ point: { state: 'ended' }, snapshots: [{ id: 's9' }] });
    expect(ids).toEqual(['s9']);
    expect(said.some((line) => line.endsWith('; trying again'))).toBe(true);
    expect(said).toContain('7 hits');
    // Stopping is no hanging up: the point must be there when it comes back.
    if (how === 'stop') expect(state.aborted).toBeUndefined();
  });

  test('before it said that the point is set: the error says so', async () => {
    const first = await serve({ snap: () => new Promise(() => undefined) });
    const asked = dial(first.address).snap(options, {});
    setTimeout(() => first.kill(), 300);
    await expect(asked).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(', before it said that the point is set') as string,
      hint: '`stillframe points` says whether it is, when the controller is back',
    });
  });

  test('the wait ends when it would have ended, and the point with it', async () => {
    const first = await serve({ snap: waiting({}) });
    const { hooks, isArmed } = armed();
    const asked = dial(first.address).snap({ ...options, waitMs: 5000 }, hooks);
    await isArmed;
    await first[Symbol.asyncDispose]();
    const removed: string[] = [];
    await serve({
      points: () => Promise.resolve([point]),
      snapshots: () => Promise.resolve([]),
      removePoints: ([id = '']) => {
        removed.push(id);
        return Promise.resolve([{ ...point, state: 'ended', end: 'removed', why: 'removed' }]);
      },
    });
    await expect(asked).rejects.toMatchObject({
      code: 'expired',
      message: `point ${point.id} did not fire within 5 s: 0 hits`,
    });
    expect(removed).toEqual([point.id]);
  });

  test('it does not come back: the error says which point may still be armed, and until when', async () => {
    const first = await serve({ snap: waiting({}) });
    const { hooks, isArmed } = armed();
    const asked = dial(first.address).snap({ ...options, waitMs: 1500 }, hooks);
    await isArmed;
    await first[Symbol.asyncDispose]();
    await expect(asked).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`point ${point.id} may still be armed`) as string,
      hint: `it goes at ${point.expires}, or with \`stillframe rm ${point.id}\` when the controller is back`,
    });
  });

  test('a detached one is left as it is known', async () => {
    const first = await serve({
      snap: async (_, hooks) => {
        hooks.armed?.(point);
        await new Promise(() => undefined);
        throw new Error('unreachable');
      },
    });
    const { hooks, isArmed } = armed();
    const asked = dial(first.address).snap({ ...options, detach: true }, hooks);
    await isArmed;
    first.kill();
    expect(await asked).toMatchObject({ point: { id: point.id }, snapshots: [] });
  });
});

describe('where it listens', () => {
  test('a unix socket is for its owner only, and one in use is not taken', async () => {
    await serve({});
    expect(statSync(join(folder, 'controller.sock')).mode & 0o777).toBe(0o600);
    await expect(serve({})).rejects.toMatchObject({
      code: 'usage',
      message: `cannot listen on "${join(folder, 'controller.sock')}": another program listens there`,
    });
  });

  test('a file that is no socket is left alone', async () => {
    writeFileSync(join(folder, 'controller.sock'), 'mine');
    await expect(serve({})).rejects.toThrow('a file that is no socket lies there');
  });

  test('TCP beyond this host is refused without TLS', async () => {
    await expect(serve({}, '0.0.0.0:0')).rejects.toMatchObject({
      code: 'denied',
      message: 'cannot listen on 0.0.0.0 without TLS',
    });
  });

  test('with TLS: with a certificate of the authority, and not without', async () => {
    const { server, client, stranger, impostor } = makeCertificates(folder);
    const served = await serve({ points: () => Promise.resolve([point]) }, '127.0.0.1:0', server);
    expect(await dial(served.address, client).points()).toEqual([point]);
    for (const files of [undefined, stranger, impostor]) {
      await expect(dial(served.address, files).points()).rejects.toMatchObject({ code: 'unreachable' });
    }
    expect(await dial(served.address, client).points()).toEqual([point]);
  });
});

describe('hostile bytes', () => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const header = (path: string): Buffer =>
    // A SETTINGS frame, then HEADERS that are cut short and lie about their length.
    Buffer.concat([
      Buffer.from(preface),
      Buffer.from('000000040000000000', 'hex'),
      Buffer.from('ffffff0105000000017fff', 'hex'),
      Buffer.from(path),
    ]);

  test.each<[string, () => Buffer]>([
    ['noise', () => randomBytes(65_536)],
    ['HTTP/1', () => Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`)],
    ['a preface and noise', () => Buffer.concat([Buffer.from(preface), randomBytes(65_536)])],
    ['headers that lie', () => header('/stillframe.v1.Controller/Points')],
    ['nothing at all', () => Buffer.alloc(0)],
  ])('%s does not hurt others', async (_, bytes) => {
    const served = await serve({ points: () => Promise.resolve([point]) }, '127.0.0.1:0');
    const client = dial(served.address);
    const port = Number(served.address.split(':')[1]);
    await Promise.all(
      Array.from(
        { length: 20 },
        () =>
          new Promise<void>((resolve) => {
            const raw = connect(port, '127.0.0.1', () => raw.write(bytes()));
            raw.on('error', () => undefined);
            raw.once('close', () => resolve());
            raw.resume();
            setTimeout(() => raw.destroy(), 300);
          }),
      ),
    );
    expect(await client.points()).toEqual([point]);
  });

  test('a message that does not decode is refused, and the next one answered', async () => {
    const served = await serve({ points: () => Promise.resolve([point]) }, '127.0.0.1:0');
    const { ChannelCredentials, Client } = await import('@grpc/grpc-js');
    const raw = new Client(served.address, ChannelCredentials.createInsecure());
    open.push({ [Symbol.dispose]: () => raw.close() });
    const call = (bytes: Buffer): Promise<number> =>
      new Promise((resolve) => {
        raw.makeUnaryRequest(
          '/stillframe.v1.Controller/Points',
          (value: Buffer) => value,
          (value: Buffer) => value,
          bytes,
          (error) => resolve(error?.code ?? 0),
        );
      });
    expect(await call(Buffer.from([0x0a, 0xff, 0xff, 0xff]))).not.toBe(0);
    expect(await call(randomBytes(1000))).not.toBe(0);
    expect(await call(Buffer.alloc(17 * 1024 * 1024))).not.toBe(0);
    expect(await call(Buffer.alloc(0))).toBe(0);
  });
});
