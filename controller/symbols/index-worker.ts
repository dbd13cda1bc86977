/** The thread that makes one symbol index and writes it into the cache: for {@link ./index-builder.ts}. */
import { parentPort, workerData } from 'node:worker_threads';
import { openElf } from '../../format/elf/open.js';
import { toStillframeError } from '../../format/error.js';
import { DebugInfo } from '../dwarf/unit.js';
import { sectionsOf } from '../dwarf/sections.js';
import { buildIndex } from './build-index.js';
import { findFileSource } from './debug-file-source.js';
import { identityOf, IndexCache, type IndexCacheOptions } from './index-cache.js';
import type { IndexIdentity } from './symbol-index.js';

export interface IndexOrder {
  readonly path: string;
  readonly identity: IndexIdentity;
  readonly cache: IndexCacheOptions;
}

/** What it says: lines for the log; the last one ends it. */
export interface IndexReport {
  readonly message: string;
}

function report(message: string): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
  parentPort?.postMessage({ message } satisfies IndexReport);
}

function make({ path, identity, cache }: IndexOrder): void {
  const source = findFileSource(path);
  if (source === undefined) return;
  const elf = openElf(source);
  // Another file at that path by now.
  if (JSON.stringify(identityOf(elf)) !== JSON.stringify(identity)) return;
  new IndexCache(cache, report).write(identity, buildIndex(new DebugInfo(sectionsOf(elf, path))));
}

try {
  make(workerData as IndexOrder);
} catch (error) {
  report(
    `no symbol index is made for "${(workerData as IndexOrder).path}": ${toStillframeError(error).message}`,
  );
}
