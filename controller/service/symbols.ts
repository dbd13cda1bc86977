import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import { openCallFrames } from '../dwarf/call-frame-table.js';
import type { DebugInfo } from '../dwarf/unit.js';
import { debuginfodFromEnvironment } from '../symbols/debuginfod.js';
import { findDebugFiles, hasDebugSections } from '../symbols/find-debug-files.js';
import type { OpenedIndex } from '../symbols/file-index.js';
import type { IndexBuilder } from '../symbols/index-builder.js';
import { identityOf, IndexCache, indexCacheFrom } from '../symbols/index-cache.js';
import type { IndexIdentity } from '../symbols/symbol-index.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { openModuleSymbols } from '../symbols/open.js';

/** Where distributions put separate debug files. */
export const debugDirectories: readonly string[] = ['/usr/lib/debug'];

const debuginfod = debuginfodFromEnvironment(process.env);
/** Whether files are fetched at all. */
export const asksDebuginfod: boolean = debuginfod !== undefined;
/** Why a debug file could not be fetched, by build id. */
const failures = new Map<string, string>();

/** The debug information of a file: what is in it, and what is in separate files around it and in `directories`. */
export function openSymbols(
  elf: ElfFile,
  file: string = elf.source.name,
  directories: readonly string[] = debugDirectories,
): ModuleSymbols {
  const files = findDebugFiles(elf, file, {
    directories,
    cached: (buildId) => debuginfod?.cachedPath(buildId),
  });
  const failure = failures.get(elf.buildId ?? '');
  const problems = failure === undefined ? files.problems : [...files.problems, failure];
  return openModuleSymbols(elf, elf.source.name, openCallFrames(elf, files.debug), defaultLimits, {
    ...files,
    problems,
    openIndex,
  });
}

/** Reading a smaller file takes no longer than looking into an index of it. */
const minIndexedBytes = 1 << 20;

const cacheOptions = indexCacheFrom(process.env);
let log = (message: string): void => {
  process.stderr.write(`stillframe: ${message}\n`);
};

/** Where to say what people should know of indexes, instead of stderr. */
export function logSymbols(to: (message: string) => void): void {
  log = to;
}

const tell = (message: string): void => log(message);
const cache = cacheOptions === undefined ? undefined : new IndexCache(cacheOptions, tell);
let builder: Promise<IndexBuilder> | undefined;

/** From the cache; what is not there is made in the background, for the next time. */
function openIndex(elf: ElfFile, info: DebugInfo): OpenedIndex | undefined {
  if (cache === undefined || info.bytes.length < minIndexedBytes) return undefined;
  const identity = identityOf(elf);
  if (identity === undefined) return undefined;
  const opened = cache.open(identity);
  if (opened === undefined) void wantIndex(elf.source.name, identity);
  return opened;
}

/** NB: what starts threads is imported when one is wanted. */
async function wantIndex(path: string, identity: IndexIdentity): Promise<void> {
  if (cacheOptions === undefined) return;
  builder ??= import('../symbols/index-builder.js').then(
    ({ IndexBuilder: Builder }) => new Builder(cacheOptions, tell),
  );
  (await builder).want(path, identity);
}

/** Fetches the debug file of a file that has none here, where debuginfod is to be asked. A failure is a problem of its symbols. */
export async function bringDebugFile(elf: ElfFile, file: string = elf.source.name): Promise<void> {
  const { buildId } = elf;
  if (debuginfod === undefined || buildId === undefined || hasDebugSections(elf)) return;
  if (findDebugFiles(elf, file, { directories: debugDirectories }).debug !== undefined) return;
  try {
    await debuginfod.fetch(buildId);
    failures.delete(buildId);
  } catch (error) {
    if (!(error instanceof StillframeError)) throw error;
    failures.set(buildId, error.message);
  }
}
