/** What can be asked of snapshots that are in a store, or in a core file that somebody names: the same for every controller. */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { isIdentifier } from '../../format/identifier.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import type { SnapshotFilter, Store } from '../store/store.js';
import { copySparse } from '../store/sparse-file.js';
import type { ValueDocument } from '../types/value-document.js';
import type { Exported, SnapshotReference } from './controller-api.js';
import { snapshotSummary, type SnapshotSummary } from './documents.js';
import type { SymbolAnswers } from './symbol-answers.js';

export interface StoredSnapshotsOptions {
  readonly store: Store;
  readonly symbols: SymbolAnswers;
  /** Brings in what waits elsewhere, before something is looked for that may be among it. */
  readonly sync: () => Promise<void>;
  /** Paths in a reference are the caller's files; false: the caller is on another machine, or another user. */
  readonly files: boolean;
}

const copyHints: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: another folder, or less memory (--bytes)',
  EDQUOT: 'the quota is used up: another folder, or less memory (--bytes)',
  EROFS: 'the disk is read-only: another folder',
};

/** Beside its name first, so that half a core is never taken for one; a device or a pipe is written as it is. */
function copyWhole(path: string, file: string): void {
  const isPlain = statSync(file, { throwIfNoEntry: false })?.isFile() ?? true;
  const part = isPlain ? `${file}.part-${process.pid}` : file;
  try {
    copySparse(path, part, { isPlain });
    if (isPlain) renameSync(part, file);
  } catch (error) {
    if (isPlain) rmSync(part, { force: true });
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const hint = copyHints[code];
    throw new StillframeError(
      code === 'EACCES' || code === 'EPERM' ? 'denied' : 'system',
      `cannot write "${file}": ${code}`,
      { detail: { file, errnoName: code }, cause: error, ...(hint === undefined ? {} : { hint }) },
    );
  }
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
    const { path } = await this.#locate(reference);
    const { exe, sysroot, debugDir, name } = reference;
    const { document } = await this.#options.symbols.show({
      core: path,
      exe,
      sysroot,
      debugDir,
      options: { id: name, ...options },
    });
    return document;
  }

  async evaluate(
    reference: SnapshotReference,
    expressions: readonly string[],
    options: EvaluateOptions,
  ): Promise<readonly (ValueDocument | StillframeError)[]> {
    const { path } = await this.#locate(reference);
    const { exe, sysroot, debugDir } = reference;
    return await this.#options.symbols.evaluate({ core: path, exe, sysroot, debugDir, expressions, options });
  }

  /** Copies the core file; gives its size. */
  async exportCore(reference: SnapshotReference, file: string): Promise<Exported> {
    const { path, id } = await this.#locate(reference);
    copyWhole(path, file);
    return { id, bytes: statSync(file).size };
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
