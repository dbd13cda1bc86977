/** What can be asked of snapshots that are in a store, or in a core file that somebody names: the same for every controller. */
import { copyFileSync, existsSync, statSync } from 'node:fs';
import { isAbsent } from '../../format/absent.js';
import { StillframeError } from '../../format/error.js';
import { isIdentifier } from '../../format/identifier.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import { bringDebugFiles } from '../snapshot/fetch-debug-files.js';
import type { OpenSymbols } from '../snapshot/module.js';
import { openSnapshot, type Snapshot } from '../snapshot/open.js';
import {
  evaluateExpressions,
  showSnapshot,
  type EvaluateOptions,
  type ShowOptions,
} from '../snapshot/show.js';
import type { SnapshotFilter, Store } from '../store/store.js';
import type { ValueDocument } from '../types/value-document.js';
import type { Exported, SnapshotReference } from './controller-api.js';
import { snapshotSummary, type SnapshotSummary } from './documents.js';
import { asksDebuginfod, bringDebugFile, debugDirectories } from './symbols.js';

export interface StoredSnapshotsOptions {
  readonly store: Store;
  readonly openSymbols: OpenSymbols;
  /** Brings in what waits elsewhere, before something is looked for that may be among it. */
  readonly sync: () => Promise<void>;
  /** Paths in a reference are the caller's files; false: the caller is on another machine, or another user. */
  readonly files: boolean;
}

export class StoredSnapshots {
  readonly #options: StoredSnapshotsOptions;

  constructor(options: StoredSnapshotsOptions) {
    this.#options = options;
  }

  async snapshots(filter: SnapshotFilter): Promise<readonly SnapshotSummary[]> {
    await this.#options.sync();
    return this.#options.store.listSnapshots(filter).map(snapshotSummary);
  }

  async show(reference: SnapshotReference, options: ShowOptions): Promise<SnapshotDocument> {
    using snapshot = await this.#open(reference);
    // Nobody hit anything in a "now": all its threads are what was asked for.
    const allThreads = options.allThreads ?? snapshot.core.note?.point === '';
    return showSnapshot(snapshot, { id: reference.name, ...options, allThreads });
  }

  async evaluate(
    reference: SnapshotReference,
    expressions: readonly string[],
    options: EvaluateOptions,
  ): Promise<readonly (ValueDocument | StillframeError)[]> {
    using snapshot = await this.#open(reference);
    return evaluateExpressions(snapshot, expressions, options);
  }

  /** Copies the core file; gives its size. */
  async exportCore(reference: SnapshotReference, file: string): Promise<Exported> {
    const { path, id } = await this.#locate(reference);
    copyFileSync(path, file);
    return { id, bytes: statSync(file).size };
  }

  async #open(reference: SnapshotReference): Promise<Snapshot> {
    const { path } = await this.#locate(reference);
    const { exe, sysroot, debugDir } = reference;
    const directories = debugDir === undefined ? undefined : [debugDir, ...debugDirectories];
    const snapshot = openSnapshot(path, {
      exe,
      sysroot,
      openSymbols: (elf, file) => this.#options.openSymbols(elf, file, directories),
    });
    if (asksDebuginfod) await bringDebugFiles(snapshot, bringDebugFile);
    const program = exe === undefined ? undefined : snapshot.executable?.elf;
    if (program === undefined || !isAbsent(program)) return snapshot;
    // What was named explicitly and does not fit is a mistake, and not something that this snapshot lacks.
    snapshot[Symbol.dispose]();
    const code = existsSync(exe ?? '') ? 'mismatch' : 'not-found';
    throw new StillframeError(code, program.detail, { hint: 'give the file that was running with --exe' });
  }

  async #locate(reference: SnapshotReference): Promise<{ readonly path: string; readonly id: string }> {
    const { store, sync, files } = this.#options;
    const { name } = reference;
    const named = [reference.exe, reference.sysroot, reference.debugDir];
    if (!files && (isPath(name) || named.some((path) => path !== undefined))) {
      throw new StillframeError('unsupported', 'a controller opens no files of its callers', {
        hint: 'name a snapshot by its id; export it, and open the file without --controller',
      });
    }
    if (isPath(name)) return { path: name, id: name };
    // A whole id never means anything else; `last` and a prefix may, once what waits at the agent has come.
    if (!(isIdentifier(name) && store.hasSnapshot(name))) await sync();
    try {
      const record = store.findSnapshot(name);
      return { path: store.pathOf(record), id: record.id };
    } catch (error) {
      if (files && name !== 'last' && existsSync(name)) return { path: name, id: name };
      throw error;
    }
  }
}

const isPath = (name: string): boolean => name.includes('/');
