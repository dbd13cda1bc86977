/**
 * The file of a library as a process may load it, unload it and load it again. What lies at its path can be probed before anybody maps it, where that is what
 * the plan was made for. Of programs that is not so: a process that runs another one will not load this one.
 */
import { StillframeError } from '../../format/error.js';
import { PF } from '../../format/elf/constants.js';
import type { Plan } from '../../format/plan/plan.js';
import { FileSource } from '../linux/file-source.js';
import { findMapping, readMaps } from '../linux/proc.js';
import type { ElfFacts, ElfFactsCache } from './elf-facts.js';

export class LibraryFile {
  readonly pid: number;
  /** As the process maps it. */
  readonly path: string;
  readonly #inode: bigint;

  constructor(pid: number, path: string, inode: bigint) {
    this.pid = pid;
    this.path = path;
    this.#inode = inode;
  }

  /** Leads to what lies at its path, from here. */
  get file(): string {
    return pathOf(this.pid, this.path);
  }

  /** Why nobody can pass there now; empty when the process has loaded it. Throws `target-gone`. */
  whyNot(): string {
    const mapped = readMaps(this.pid).filter(({ permissions }) => permissions.includes('x'));
    if (mapped.some(({ inode }) => BigInt(inode) === this.#inode)) return '';
    if (mapped.some(({ path }) => path === this.path)) {
      return `process ${this.pid} maps another file as "${this.path}" than lay there when the point was set`;
    }
    const replaced = this.#isReplaced() ? ', and another file lies there by now' : '';
    return `no such module: process ${this.pid} does not map "${this.path}"${replaced}`;
  }

  /** Whether what lies at the address now is its code from that offset on. */
  holds(address: bigint, fileOffset: number): boolean {
    const mapping = findMapping(readMaps(this.pid), address);
    if (mapping === undefined || BigInt(mapping.inode) !== this.#inode) return false;
    return mapping.fileOffset + Number(address - mapping.start) === fileOffset;
  }

  #isReplaced(): boolean {
    try {
      using source = new FileSource(this.file, this.path);
      return source.inode !== this.#inode;
    } catch {
      // Removed.
      return true;
    }
  }
}

const pathOf = (pid: number, path: string): string => `/proc/${pid}/root${path}`;

/**
 * The library of a plan that a process does not map now; undefined where its path has no file of the plan's build id, or no library. Throws `bad-data` for
 * sites that are not code of the file.
 */
export function findLibraryFile(pid: number, plan: Plan, cache: ElfFactsCache): LibraryFile | undefined {
  const { path, buildId } = plan.module;
  // Without a build id nothing proves what is loaded in the end.
  if (buildId === '' || !path.startsWith('/')) return undefined;
  let facts: ElfFacts;
  let inode: bigint;
  try {
    using source = new FileSource(pathOf(pid, path), path);
    facts = cache.readSource(source);
    inode = source.inode;
  } catch {
    return undefined;
  }
  if (facts.buildId !== buildId || !facts.isLibrary) return undefined;
  for (const { linkAddress, fileOffset } of [...plan.sites, ...(plan.timing?.entries ?? [])])
    checkSite(facts, path, { linkAddress, fileOffset });
  return new LibraryFile(pid, path, inode);
}

function checkSite(
  { loads }: ElfFacts,
  path: string,
  { linkAddress, fileOffset }: { readonly linkAddress: bigint; readonly fileOffset: number },
): void {
  const isCode = loads.some(
    (load) =>
      (load.flags & PF.PF_X) !== 0 &&
      fileOffset >= load.offset &&
      fileOffset < load.offset + load.fileSize &&
      linkAddress - load.virtualAddress === BigInt(fileOffset - load.offset),
  );
  if (isCode) return;
  throw new StillframeError(
    'bad-data',
    `cannot probe "${path}": file offset 0x${fileOffset.toString(16)} is not the code at link address 0x${linkAddress.toString(16)}`,
    { detail: { offset: fileOffset, file: path } },
  );
}
