/**
 * The cache of symbol indexes: a file for each file with debug information, named after its build id. Never trusted: a file that is damaged,
 * of another version or of another file is told, removed and made anew; a folder that others may write to is not used at all. Written
 * under another name and renamed, so that readers and writers of several processes, killed at any time, see a whole file or none.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { findFileSource } from './debug-file-source.js';
import type { OpenedIndex } from './file-index.js';
import { encodeIndex, hashOf, openSymbolIndex, type IndexIdentity, type IndexTable } from './symbol-index.js';

export interface IndexCacheOptions {
  readonly folder: string;
  /** Of all indexes together; those that were used least recently go first. */
  readonly maxBytes: number;
}

const defaultMaxBytes = 1024 ** 3;
const suffix = '.index';
const partialSuffix = '.partial';
/** What a killed writer left is nobody's by then. */
const maxPartialMs = 3_600_000;
/** Files of a cache are counted in hundreds. */
const maxFiles = 100_000;

/** `STILLFRAME_SYMBOL_CACHE` (a folder, or `off`) and `STILLFRAME_SYMBOL_CACHE_SIZE` (bytes, or with k, M, G); undefined: no cache. */
export function indexCacheFrom(
  environment: Readonly<Record<string, string | undefined>>,
): IndexCacheOptions | undefined {
  const asked = environment['STILLFRAME_SYMBOL_CACHE'];
  if (asked === 'off') return undefined;
  const home = environment['HOME'] || homedir();
  const folder =
    asked || join(environment['XDG_CACHE_HOME'] || join(home, '.cache'), 'stillframe', 'symbols');
  return { folder, maxBytes: sizeFrom(environment['STILLFRAME_SYMBOL_CACHE_SIZE']) ?? defaultMaxBytes };
}

function sizeFrom(text: string | undefined): number | undefined {
  const match = /^(\d{1,12})\s*([kmg]?)(?:i?b)?$/i.exec(text ?? '');
  const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match?.[2]?.toLowerCase() ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** What a file is known by; undefined for one that has no name to be found by again. */
export function identityOf(elf: ElfFile): IndexIdentity | undefined {
  const { source } = elf;
  const names = ['.debug_info', '.debug_types', '.debug_abbrev', '.debug_str', '.debug_line'];
  const sections = names.map((name) => elf.findSection(name)?.size ?? 0);
  const known = { size: source.size, sections };
  if (elf.buildId !== undefined && elf.buildId !== '') return { buildId: elf.buildId, file: '', ...known };
  try {
    const { dev, ino, size, mtimeNs } = statSync(source.name, { bigint: true });
    if (Number(size) !== source.size) return undefined;
    return { buildId: '', file: [dev, ino, mtimeNs].join(' '), ...known };
  } catch {
    return undefined; // It lies in memory, or is gone.
  }
}

export class IndexCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #log: (message: string) => void;
  #isRefused = false;

  constructor({ folder, maxBytes }: IndexCacheOptions, log: (message: string) => void) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  /** Undefined when there is none that may be used; why not is logged, but for there being none. */
  open(identity: IndexIdentity): OpenedIndex | undefined {
    if (!this.#isUsable(false)) return undefined;
    const path = this.#pathOf(identity);
    const damaged = (reason: string): void => {
      this.#log(`${reason}: it is made anew`);
      rmSync(path, { force: true, recursive: true });
    };
    try {
      if (!isOwnFile(path)) return undefined;
      touch(path);
      const source = findFileSource(path);
      if (source === undefined) return undefined;
      const index = openSymbolIndex(source, identity);
      return { index, damaged };
    } catch (error) {
      damaged(toStillframeError(error).message);
      return undefined;
    }
  }

  /** Throws when it cannot be written; what does not fit the cache is not. */
  write(identity: IndexIdentity, tables: Readonly<Record<IndexTable, Uint32Array>>): void {
    if (!this.#isUsable(true)) return;
    const pieces = encodeIndex(identity, tables);
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes > this.#maxBytes) {
      this.#log(`a symbol index of ${bytes} bytes is not kept: the cache holds ${this.#maxBytes}`);
      return;
    }
    const path = this.#pathOf(identity);
    const partial = `${path}.${process.pid}.${process.hrtime.bigint().toString(36)}${partialSuffix}`;
    try {
      writeWhole(partial, pieces);
      renameSync(partial, path);
    } finally {
      rmSync(partial, { force: true });
    }
    this.#evict(path);
  }

  #pathOf({ buildId, file, size }: IndexIdentity): string {
    const name = /^[0-9a-f]{1,128}$/.test(buildId)
      ? buildId
      : `file-${hashOf(`${buildId} ${file}`).toString(16)}`;
    return join(this.#folder, `${name}-${size}${suffix}`);
  }

  /** Makes the folder when it is wanted. Told once when it must not be used. */
  #isUsable(make: boolean): boolean {
    if (this.#isRefused) return false;
    try {
      if (make) mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const refusal = refusalOf(this.#folder);
      if (refusal === undefined) return true;
      this.#isRefused = true;
      this.#log(`the symbol cache "${this.#folder}" is not used: ${refusal}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !make) return false;
      this.#isRefused = true;
      this.#log(`the symbol cache "${this.#folder}" is not used: ${toStillframeError(error).message}`);
    }
    return false;
  }

  /** Removes what was used least recently until the rest fits, and what killed writers left. */
  #evict(justWritten: string): void {
    const files: { path: string; size: number; usedMs: number }[] = [];
    for (const name of readdirSync(this.#folder).slice(0, maxFiles)) {
      const path = join(this.#folder, name);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (name.endsWith(partialSuffix) && Date.now() - stat.mtimeMs > maxPartialMs)
        rmSync(path, { force: true });
      if (name.endsWith(suffix))
        files.push({ path, size: stat.size, usedMs: Math.max(stat.atimeMs, stat.mtimeMs) });
    }
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
      if (total <= this.#maxBytes) return;
      if (path === justWritten) continue;
      rmSync(path, { force: true });
      total -= size;
    }
  }
}

/** Why a folder must not be used: whoever can write to it, or replace it, could make us say what is not true. */
function refusalOf(folder: string): string | undefined {
  const uid = process.geteuid?.() ?? 0;
  const { uid: owner, mode } = statSync(folder);
  if (owner !== uid) return `it belongs to user ${owner}`;
  if ((mode & 0o077) !== 0) return `others may use it (mode ${(mode & 0o777).toString(8)})`;
  for (let path = dirname(realpathSync(folder)); ; path = dirname(path)) {
    const above = statSync(path);
    if (above.uid !== uid && above.uid !== 0) return `"${path}" above it belongs to user ${above.uid}`;
    const isSticky = (above.mode & 0o1000) !== 0;
    if ((above.mode & 0o022) !== 0 && !isSticky) return `others may write to "${path}" above it`;
    if (path === dirname(path)) return undefined;
  }
}

/** Neither a link nor anybody else's. False when there is none. */
function isOwnFile(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (stat.isFile() && stat.uid === (process.geteuid?.() ?? 0) && (stat.mode & 0o077) === 0) return true;
  throw new StillframeError(
    'bad-data',
    `cannot use the symbol index "${path}": it is not a file of ours alone`,
  );
}

/**
 * The time of access says when it was used. NB: that of change is part of what readers know the file by, so it is in whole seconds, which
 * are written back as they were.
 */
function touch(path: string): void {
  try {
    utimesSync(path, Date.now() / 1000, Math.floor(statSync(path).mtimeMs / 1000));
  } catch {
    // Evicted meanwhile, or on a file system that does not allow it: then it goes earlier.
  }
}

function writeWhole(path: string, pieces: readonly Uint8Array[]): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    if ((fstatSync(fd).mode & 0o077) !== 0) throw new Error(`"${path}" was made for others, too`);
    for (const piece of pieces) {
      for (let done = 0; done < piece.length;) done += writeSync(fd, piece, done, piece.length - done);
    }
    const nowS = Date.now() / 1000;
    futimesSync(fd, nowS, Math.floor(nowS));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
