/**
 * The worker thread of {@link ./record-pump.ts}: blocks in `poll`, copies records, posts them. It never returns to its event loop; it looks for
 * messages when the wake descriptor says that there are some.
 */
import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { StillframeError } from '../../format/error.js';
import { poll } from '../linux/poll.js';
import { wakeWindowNs } from './point-state.js';
import { type RingPlace, RingReader } from './ring-buffer.js';

export type ToWorker =
  | {
      readonly kind: 'add';
      readonly id: number;
      readonly ring: { readonly fd: number; readonly place: RingPlace } | undefined;
      readonly watchFd: number | undefined;
    }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'records'; readonly id: number; readonly list: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: 'ready'; readonly id: number }
  | { readonly kind: 'removed'; readonly id: number };

interface Entry {
  readonly ring: { readonly fd: number; readonly reader: RingReader } | undefined;
  watchFd: number | undefined;
}

/** After a record, look again this often and for this long: hits within {@link wakeWindowNs} of another do not wake us. */
const lookAgainMs = 4;
const alertMs = 4 * (wakeWindowNs / 1_000_000);

/** So much is posted together: each message costs what some records do, and who receives it starts the sooner the less it is. */
const mostAtOnceBytes = 128 << 10;

/** How long a process that exits without saying so waits for this thread. */
const maxWaitMs = 5000;

if (parentPort !== null) run(parentPort, wakeDescriptor());

function wakeDescriptor(): number {
  const data: unknown = workerData;
  if (typeof data === 'object' && data !== null && 'wakeFd' in data && typeof data.wakeFd === 'number')
    return data.wakeFd;
  throw new StillframeError('internal', 'the ring buffer worker was started without a wake descriptor');
}

function run(port: NonNullable<typeof parentPort>, wakeFd: number): void {
  const entries = new Map<number, Entry>();
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => {
    port.postMessage(message, transfer);
  };
  let lastRecord = -alertMs;
  const drain = (id: number, entry: Entry): void => {
    if (entry.ring === undefined) return;
    let list: Uint8Array<ArrayBuffer>[] = [];
    let listBytes = 0;
    const send = (): void => {
      if (list.length === 0) return;
      post(
        { kind: 'records', id, list },
        list.map(({ buffer }) => buffer),
      );
      list = [];
      listBytes = 0;
    };
    const count = entry.ring.reader.drain((record) => {
      const bytes = new Uint8Array(record.length);
      bytes.set(record);
      list.push(bytes);
      listBytes += bytes.length;
      if (listBytes >= mostAtOnceBytes) send();
    });
    send();
    if (count > 0) lastRecord = performance.now();
  };
  const handle = (message: ToWorker): boolean => {
    if (message.kind === 'stop') return false;
    if (message.kind === 'add') {
      const { ring, watchFd } = message;
      const opened = ring === undefined ? undefined : { fd: ring.fd, reader: new RingReader(ring.place) };
      entries.set(message.id, { ring: opened, watchFd });
    } else {
      const entry = entries.get(message.id);
      if (entry !== undefined) drain(message.id, entry);
      entries.delete(message.id);
      post({ kind: 'removed', id: message.id });
    }
    return true;
  };

  const counter = Buffer.alloc(8);
  for (;;) {
    const fds = [wakeFd];
    let isAlert = performance.now() - lastRecord < alertMs;
    for (const { ring, watchFd } of entries.values()) {
      if (ring?.reader.isHeldUp === true) isAlert = true;
      else if (ring !== undefined) fds.push(ring.fd);
      if (watchFd !== undefined) fds.push(watchFd);
    }
    const ready = new Set(poll(fds, isAlert ? lookAgainMs : maxWaitMs).map(({ fd }) => fd));
    for (const [id, entry] of entries) {
      if (entry.ring?.reader.isHeldUp === true || (entry.ring !== undefined && ready.has(entry.ring.fd))) {
        drain(id, entry);
      }
      if (entry.watchFd !== undefined && ready.has(entry.watchFd)) {
        drain(id, entry);
        entry.watchFd = undefined;
        post({ kind: 'ready', id });
      }
    }
    if (!ready.has(wakeFd)) continue;
    readSync(wakeFd, counter, 0, 8, null);
    for (;;) {
      const received: { message: ToWorker } | undefined = receiveMessageOnPort(port);
      if (received === undefined) break;
      if (!handle(received.message)) return;
    }
  }
}
