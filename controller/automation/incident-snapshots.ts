/**
 * Reads stored snapshots for those who work in the controller's own time: one at a time, with a turn for everything else between two of
 * them, and each stack unwound once and kept. A snapshot that cannot be read costs only itself.
 */
import { setImmediate } from 'node:timers/promises';
import { toStillframeError } from '../../format/error.js';
import type { Leaves } from '../snapshot/leaves.js';
import type { ShowOptions } from '../snapshot/show.js';
import type { SnapshotRecord, Store } from '../store/store.js';
import type { IncidentStore, StackSignature } from './incident-store.js';
import type { ShownSnapshot, SymbolAnswers } from '../service/symbol-answers.js';

export interface IncidentSnapshotsOptions {
  readonly store: Pick<Store, 'pathOf'>;
  readonly incidents: Pick<IncidentStore, 'findSignature' | 'putSignature'>;
  readonly symbols: SymbolAnswers;
}

/** Of a snapshot that cannot be read; it is no stack, and is not kept. */
const unreadableKey = 'unreadable';

export function isUnreadable(signature: StackSignature): boolean {
  return signature.key === unreadableKey;
}

export class IncidentSnapshots {
  readonly #options: IncidentSnapshotsOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: IncidentSnapshotsOptions) {
    this.#options = options;
  }

  /** Debug information that is read until it is disposed is kept for the snapshots that are read next. */
  hold(): Disposable {
    return this.#options.symbols.hold();
  }

  /** From the store, or by unwinding. Never rejects for what is wrong with the snapshot: that is its only frame, in parentheses. */
  async signature(record: SnapshotRecord): Promise<StackSignature> {
    const { incidents } = this.#options;
    const known = incidents.findSignature(record.id);
    if (known !== undefined) return known;
    const signature = await this.#read(record, (core) => this.#options.symbols.signature(core));
    if ('error' in signature) {
      return { key: unreadableKey, frames: [`(the snapshot cannot be read: ${signature.error})`] };
    }
    incidents.putSignature(record.id, signature.value);
    return signature.value;
  }

  /** The values of its innermost frame and of its captures. */
  async leaves(record: SnapshotRecord): Promise<Read<Leaves>> {
    return await this.#read(record, (core) => this.#options.symbols.leaves(core));
  }

  async show(record: SnapshotRecord, options: ShowOptions): Promise<Read<ShownSnapshot>> {
    return await this.#read(record, (core) => this.#options.symbols.show({ core, options }));
  }

  async #read<T>(record: SnapshotRecord, ask: (core: string) => Promise<T>): Promise<Read<T>> {
    using _held = this.hold();
    const mine = this.#turn.then(async (): Promise<Read<T>> => {
      await setImmediate();
      try {
        return { value: await ask(this.#options.store.pathOf(record)) };
      } catch (thrown) {
        return { error: toStillframeError(thrown).message };
      }
    });
    this.#turn = mine;
    return await mine;
  }
}

export type Read<T> = { readonly value: T } | { readonly error: string };
