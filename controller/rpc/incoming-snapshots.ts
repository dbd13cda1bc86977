/**
 * Snapshots on their way from one agent to the store: each announced, in pieces, in order. An agent is believed nothing: what is too
 * large, out of order or more than was announced is refused, and costs that snapshot only.
 */
import { badData, StillframeError } from '../../format/error.js';
import type { AnnouncedSnapshot, ReceivedSnapshot, SnapshotWriter } from '../store/store.js';

export interface ComingSnapshot extends AnnouncedSnapshot {
  /** As the agent calls it; empty for "now". */
  readonly point: string;
  /** It answers a command that waits for it. */
  readonly asked: boolean;
  /** What it may have; as other snapshots unless told. */
  readonly maxBytes?: number;
}

interface Coming {
  readonly writer: SnapshotWriter;
  offset: number;
}

/** An agent sends one after another. */
const maxComing = 4;
/** What an agent's spool holds, unless its owner says otherwise. */
const maxSnapshotBytes = 1024 ** 3;

export class IncomingSnapshots implements Disposable {
  readonly #receive: (announced: ComingSnapshot) => SnapshotWriter;
  readonly #coming = new Map<string, Coming>();

  constructor(receive: (announced: ComingSnapshot) => SnapshotWriter) {
    this.#receive = receive;
  }

  begin(announced: ComingSnapshot): void {
    const { id, size, maxBytes = maxSnapshotBytes } = announced;
    // Announced anew: what came of it so far is worth nothing.
    this.drop(id);
    if (size < 1 || size > maxBytes) {
      throw new StillframeError(
        'limit',
        `cannot store snapshot ${shorten(id)}: ${size} bytes are announced, 1 to ${maxBytes} are taken`,
      );
    }
    if (this.#coming.size >= maxComing) {
      throw new StillframeError(
        'limit',
        `cannot store snapshot ${shorten(id)}: ${maxComing} others are coming from the same agent`,
      );
    }
    this.#coming.set(id, { writer: this.#receive(announced), offset: 0 });
  }

  piece(id: string, offset: number, data: Uint8Array): void {
    const coming = this.#coming.get(id);
    // Of a snapshot that was refused already.
    if (coming === undefined) return;
    try {
      if (offset !== coming.offset || data.length === 0) {
        throw badData(
          `cannot store snapshot ${id}: ${data.length} bytes at ${offset} came, those at ${coming.offset} were next`,
        );
      }
      coming.writer.write(data);
      coming.offset += data.length;
    } catch (error) {
      this.drop(id);
      throw error;
    }
  }

  /** Durable when it returns. Undefined for one that was refused already. */
  commit(id: string): ReceivedSnapshot | undefined {
    const coming = this.#coming.get(id);
    if (coming === undefined) return undefined;
    try {
      return coming.writer.commit();
    } finally {
      this.drop(id);
    }
  }

  [Symbol.dispose](): void {
    for (const id of this.#coming.keys()) this.drop(id);
  }

  /** No more of it comes, or is wanted. */
  drop(id: string): void {
    this.#coming.get(id)?.writer[Symbol.dispose]();
    this.#coming.delete(id);
  }
}

/** An id is twelve characters; what else it may be is shown, but not all of it. */
const shorten = (id: string): string => JSON.stringify(id.slice(0, 40));
