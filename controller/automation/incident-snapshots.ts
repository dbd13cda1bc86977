/**
 * Reads stored snapshots for those who work in the controller's own time: one at a time, with a turn for everything else between two of
 * them, and each stack unwound once and kept. A snapshot that cannot be read costs only itself.
 */
import { setImmediate } from 'node:timers/promises';
import { toStillframeError } from '../../format/error.js';
import type { OpenSymbols } from '../snapshot/module.js';
import { openSnapshot, type Snapshot } from '../snapshot/open.js';
import { SharedSymbols } from '../snapshot/shared-symbols.js';
import type { SnapshotRecord, Store } from '../store/store.js';
import type { IncidentStore, StackSignature } from './incident-store.js';
import { stackSignature } from './stack-signature.js';

export interface IncidentSnapshotsOptions {
  readonly store: Pick<Store, 'pathOf'>;
  readonly incidents: Pick<IncidentStore, 'findSignature' | 'putSignature'>;
  readonly openSymbols: OpenSymbols;
}

/** Of a snapshot that cannot be read; it is no stack, and is not kept. */
const unreadableKey = 'unreadable';

export function isUnreadable(signature: StackSignature): boolean {
  return signature.key === unreadableKey;
}

export class IncidentSnapshots {
  readonly #options: IncidentSnapshotsOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #holders = 0;
  #symbols: SharedSymbols | undefined;

  constructor(options: IncidentSnapshotsOptions) {
    this.#options = options;
  }

  /** Debug information that is read until it is disposed is kept for the snapshots that are read next. */
  hold(): Disposable {
    this.#holders += 1;
    return { [Symbol.dispose]: () => this.#release() };
  }

  #release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.#symbols?.[Symbol.dispose]();
    this.#symbols = undefined;
  }

  /** From the store, or by unwinding. Never rejects for what is wrong with the snapshot: that is its only frame, in parentheses. */
  async signature(record: SnapshotRecord): Promise<StackSignature> {
    const { incidents } = this.#options;
    const known = incidents.findSignature(record.id);
    if (known !== undefined) return known;
    const signature = await this.read(record, stackSignature);
    if ('error' in signature) {
      return { key: unreadableKey, frames: [`(the snapshot cannot be read: ${signature.error})`] };
    }
    incidents.putSignature(record.id, signature.value);
    return signature.value;
  }

  /** `work` must not keep the snapshot. */
  async read<T>(
    record: SnapshotRecord,
    work: (snapshot: Snapshot) => T,
  ): Promise<{ readonly value: T } | { readonly error: string }> {
    using _held = this.hold();
    const mine = this.#turn.then(async () => {
      await setImmediate();
      return this.#readNow(record, work);
    });
    this.#turn = mine;
    return await mine;
  }

  #readNow<T>(record: SnapshotRecord, work: (snapshot: Snapshot) => T): { value: T } | { error: string } {
    const symbols = (this.#symbols ??= new SharedSymbols(this.#options.openSymbols));
    try {
      using snapshot = openSnapshot(this.#options.store.pathOf(record), { openSymbols: symbols.open });
      return { value: work(snapshot) };
    } catch (thrown) {
      return { error: toStillframeError(thrown).message };
    }
  }
}
