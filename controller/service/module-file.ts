/**
 * Finds the file of a module that a process has mapped, on this machine, and proves by its build id that it is that file. A
 * file with another build id is never used: its lines and variables would be false.
 */
import { readFileSync } from 'node:fs';
import { openElf } from '../../format/elf/open.js';
import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { AgentModule } from '../rpc/agent-facts.js';
import { openFileSource, type FileSource } from '../snapshot/file-source.js';

export interface ModuleFile extends Disposable {
  readonly elf: ElfFile;
  /** Where it was opened. */
  readonly file: string;
}

export interface ModuleFileOptions {
  readonly pid: number;
  readonly module: AgentModule;
  /** The agent shares this host's kernel and pid namespace: /proc/PID leads to the very file. */
  readonly local: boolean;
  readonly isExecutable: boolean;
  /** `--exe`: the only place to look, for the executable. */
  readonly exe?: string;
}

/** Throws `mismatch` naming both build ids, or `not-found`. */
export function openModuleFile(options: ModuleFileOptions): ModuleFile {
  const { module } = options;
  const tried: string[] = [];
  let mismatch: StillframeError | undefined;
  for (const file of candidates(options)) {
    let source: FileSource;
    try {
      source = openFileSource(file);
    } catch (error) {
      // A file that the user named is the one that is meant.
      if (file === options.exe) throw error;
      tried.push(toStillframeError(error).message);
      continue;
    }
    try {
      // Messages name the file as the process does, not the link of /proc that led to it.
      const elf = openElf({
        name: module.path,
        size: source.size,
        read: (offset, length) => source.read(offset, length),
        readInto: (target, offset) => source.readInto(target, offset),
      });
      const found = elf.buildId ?? '';
      if (found === module.buildId) return { elf, file, [Symbol.dispose]: () => source[Symbol.dispose]() };
      mismatch ??= mismatchOf(module, file, found);
    } catch (error) {
      if (file === options.exe) {
        source[Symbol.dispose]();
        throw error;
      }
      tried.push(toStillframeError(error).message);
    }
    source[Symbol.dispose]();
    if (file === options.exe) break;
  }
  throw (
    mismatch ??
    new StillframeError(
      'not-found',
      `cannot open "${module.path}": ${tried.join('; ') || 'no place to look'}`,
      {
        detail: { pid: options.pid, file: module.path },
        hint: 'say where the file is with --exe FILE',
      },
    )
  );
}

function mismatchOf(module: AgentModule, file: string, found: string): StillframeError {
  const message = `"${file}" is not the file that runs: it has ${spell(found)}, the process maps ${spell(module.buildId)}`;
  return new StillframeError('mismatch', message, {
    detail: { file },
    hint: 'it was rebuilt or replaced since the process started: restart the process, or give the old file with --exe FILE',
  });
}

const spell = (buildId: string): string => (buildId === '' ? 'no build id' : `build id ${buildId}`);

function candidates({ pid, module, local, isExecutable, exe }: ModuleFileOptions): string[] {
  if (exe !== undefined && isExecutable) return [exe];
  if (!local) return [module.path];
  const running = isExecutable ? [`/proc/${pid}/exe`] : mappedFiles(pid, module);
  // Without a build id nothing proves that what lies at the path now is what was mapped.
  if (module.buildId === '' && module.deleted) return running;
  return [...running, `/proc/${pid}/root${module.path}`, module.path];
}

/** The kernel's links to the very inodes that are mapped, whatever lies at their path by now. */
function mappedFiles(pid: number, module: AgentModule): string[] {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  } catch {
    return [];
  }
  const start = module.start.toString(16);
  const line = maps.split('\n').find((each) => each.startsWith(`${start}-`) || each.startsWith(`0${start}-`));
  const range = /^0*([0-9a-f]+)-0*([0-9a-f]+) /.exec(line ?? '');
  return range === null ? [] : [`/proc/${pid}/map_files/${range[1]}-${range[2]}`];
}
