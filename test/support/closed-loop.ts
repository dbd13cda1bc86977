/**
 * A client of redis or memcached that keeps a few connections busy: on each a value is written and read back, one request at a time; every answer is compared
 * with the only right one, and how long it took is kept.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request and the only right answer to it. */
export interface Exchange {
  readonly request: string;
  readonly answer: string;
}

const bulk = (word: string): string => `$${word.length}\r\n${word}\r\n`;

export function redisExchanges(key: string, value: string): readonly Exchange[] {
  return [
    { request: `*3\r\n${bulk('SET')}${bulk(key)}${bulk(value)}`, answer: '+OK\r\n' },
    { request: `*2\r\n${bulk('GET')}${bulk(key)}`, answer: bulk(value) },
  ];
}

export function memcachedExchanges(key: string, value: string): readonly Exchange[] {
  return [
    { request: `set ${key} 0 0 ${value.length}\r\n${value}\r\n`, answer: 'STORED\r\n' },
    { request: `get ${key}\r\n`, answer: `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n` },
  ];
}

export interface LoopFigures {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** To a server that may have just been started. */
async function connected(path: string): Promise<Socket> {
  for (let left = 2400; ; left--) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      socket.destroy();
      if (left === 0) throw error;
      await sleep(25);
    }
  }
}

/** Keys and values of each connection: enough that neighbours in a table differ. */
const turns = 64;

export class ClosedLoop implements Disposable {
  readonly #sockets: Socket[] = [];
  #tookUs: number[] = [];
  #beganMs = performance.now();
  #failure: Error | undefined;

  /** `path`: of the server's socket. */
  static async open(
    path: string,
    exchangesOf: (key: string, value: string) => readonly Exchange[],
    connections: number,
  ): Promise<ClosedLoop> {
    const loop = new ClosedLoop();
    for (let i = 0; i < connections; i++) {
      const socket = await connected(path);
      loop.#sockets.push(socket);
      socket.setEncoding('latin1');
      const exchanges = Array.from({ length: turns }, (_, turn) =>
        exchangesOf(`key:${i}:${turn}`, `${'value '.repeat(4)}${turn * 7919 + i}`),
      ).flat();
      loop.#drive(socket, exchanges);
    }
    loop.take();
    return loop;
  }

  /** What was since the last time. Throws when an answer was wrong or a connection ended. */
  take(): LoopFigures {
    if (this.#failure !== undefined) throw this.#failure;
    const sorted = Float64Array.from(this.#tookUs).toSorted();
    const seconds = (performance.now() - this.#beganMs) / 1000;
    this.#tookUs = [];
    this.#beganMs = performance.now();
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
    return {
      requests: sorted.length,
      perSecond: sorted.length / seconds,
      p50Us: at(0.5),
      p99Us: at(0.99),
    };
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) {
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
    }
  }

  #drive(socket: Socket, exchanges: readonly Exchange[]): void {
    let turn = -1;
    let received = '';
    let began = 0;
    let wanted = '';
    const next = (): void => {
      turn = (turn + 1) % exchanges.length;
      const { request, answer } = exchanges[turn] ?? { request: '', answer: '' };
      [received, wanted] = ['', answer];
      began = performance.now();
      socket.write(request, 'latin1');
    };
    const fail = (why: string): void => {
      this.#failure ??= new Error(`connection ${this.#sockets.indexOf(socket)}: ${why}`);
      socket.destroy();
    };
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (!wanted.startsWith(received)) {
        fail(`${JSON.stringify(received)} came for ${JSON.stringify(wanted)}`);
      } else if (received.length === wanted.length) {
        this.#tookUs.push((performance.now() - began) * 1000);
        next();
      }
    });
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('closed by the server'));
    next();
  }
}
