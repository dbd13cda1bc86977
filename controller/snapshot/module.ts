/**
 * A file that is mapped into the process of a snapshot: opened when it is first asked about, and believed only when its build id is
 * the one that was running. All that fails is absent with the reason, and costs that module only.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { hex, linkAddress, runtimeAddress, toLink, toRuntime, type LoadBias } from '../../format/address.js';
import type { ElfFile } from '../../format/elf/file.js';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import type { Machine } from '../../format/registers/machine.js';
import { findMachine } from '../../format/registers/machines.js';
import type { CallFrameTable } from '../dwarf/call-frame.js';
import { openCallFrames } from '../dwarf/call-frame-table.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import type { MappedModule } from '../unwind/module-map.js';
import { openFileSource, type FileSource } from './file-source.js';

/** What the core says of a mapped file. */
export interface ModuleFacts {
  /** As the process maps it. */
  readonly path: string;
  /** First and last + 1 address of its mappings. */
  readonly start: bigint;
  readonly end: bigint;
  readonly bias: LoadBias;
  /** Of the file that was running: from our note, or from its header page in the core; undefined when the core does not say. */
  readonly buildId: string | undefined;
  /** Where to open it: `path` unless the user says otherwise. */
  readonly file: string;
  /** Where else it may be: the kernel's links to it, for as long as the process lives. Believed with the right build id only. */
  readonly links?: readonly string[];
  /** A file that lies in the core's memory as a whole: the vdso. */
  readonly image?: ElfFile;
  readonly deleted: boolean;
}

/** `file`: where the module was opened, as other files are looked for around it. */
export type OpenSymbols = (elf: ElfFile, file?: string, directories?: readonly string[]) => ModuleSymbols;

/** runtime/signal_unix.go `preparePanic`, runtime/preempt.go; by the linker's names before and since Go 1.17. */
const injectedByGo = ['sigpanic', 'sigpanic0', 'asyncPreempt'].flatMap((name) => [
  `runtime.${name}`,
  `runtime.${name}.abi0`,
]);

const maxKnownStarts = 100_000;

export class SnapshotModule implements MappedModule, Disposable {
  readonly facts: ModuleFacts;
  readonly #machine: Machine;
  readonly #openSymbols: OpenSymbols;
  #source: FileSource | undefined;
  #elf: ElfFile | Absent | undefined;
  #symbols: ModuleSymbols | Absent | undefined;
  #frames: CallFrameTable | undefined;
  #injected: ReadonlySet<bigint> | undefined;
  readonly #starts = new Map<bigint, bigint | undefined>();

  constructor(facts: ModuleFacts, openSymbols: OpenSymbols, machine: Machine) {
    this.facts = facts;
    this.#machine = machine;
    this.#openSymbols = openSymbols;
  }

  get path(): string {
    return this.facts.path;
  }

  get bias(): LoadBias {
    return this.facts.bias;
  }

  /** The file, or why it cannot be used: `no-debug-info`. */
  get elf(): ElfFile | Absent {
    this.#elf ??= this.facts.image ?? this.#findElf();
    return this.#elf;
  }

  #findElf(): ElfFile | Absent {
    const first = this.#openElf(this.facts.file);
    if (!isAbsent(first) || !this.facts.buildId) return first;
    for (const link of this.facts.links ?? []) {
      const elf = this.#openElf(link);
      if (!isAbsent(elf)) return elf;
    }
    return first;
  }

  callFrames(): CallFrameTable | Absent {
    const elf = this.elf;
    if (isAbsent(elf)) return elf;
    this.#frames ??= openCallFrames(elf);
    return this.#frames;
  }

  separateCallFrames(): CallFrameTable | undefined {
    const symbols = this.symbols();
    return isAbsent(symbols) ? undefined : symbols.frames;
  }

  functionStart(address: bigint): bigint | undefined {
    if (this.#starts.has(address)) return this.#starts.get(address);
    const start = this.#findStart(address);
    // Thousands of stacks lead through the same few calls.
    if (this.#starts.size < maxKnownStarts) this.#starts.set(address, start);
    return start;
  }

  #findStart(address: bigint): bigint | undefined {
    const symbols = this.symbols();
    if (isAbsent(symbols)) return undefined;
    const link = toLink(runtimeAddress(address), this.bias);
    const found = symbols.functionAt(link);
    if (found?.entry !== undefined) return toRuntime(found.entry, this.bias);
    const symbol = symbols.symbolAt(link);
    return symbol === undefined ? undefined : toRuntime(linkAddress(link - symbol.offset), this.bias);
  }

  isInjected(address: bigint): boolean {
    this.#injected ??= this.#findInjected();
    if (this.#injected.size === 0) return false;
    const start = this.functionStart(address);
    return start !== undefined && this.#injected.has(start);
  }

  #findInjected(): ReadonlySet<bigint> {
    const elf = this.elf;
    const isGo = !isAbsent(elf) && elf.sections.some(({ name }) => name.endsWith('.gopclntab'));
    const symbols = isGo ? this.symbols() : undefined;
    if (symbols === undefined || isAbsent(symbols)) return new Set();
    const found = injectedByGo.flatMap((name) => symbols.findSymbol(name)?.address ?? []);
    return new Set(found.map((address) => toRuntime(address, this.bias)));
  }

  symbols(): ModuleSymbols | Absent {
    const elf = this.elf;
    if (isAbsent(elf)) return elf;
    this.#symbols ??= this.#trySymbols(elf);
    return this.#symbols;
  }

  #trySymbols(elf: ElfFile): ModuleSymbols | Absent {
    try {
      return this.#openSymbols(elf, this.facts.file);
    } catch (thrown) {
      if (thrown instanceof StillframeError) return absent('no-debug-info', thrown.message);
      throw thrown;
    }
  }

  #openElf(file: string): ElfFile | Absent {
    const { path, deleted } = this.facts;
    this.#source?.[Symbol.dispose]();
    this.#source = undefined;
    try {
      this.#source = openFileSource(file);
      const elf = openElf(this.#source);
      return this.#mismatch(elf, file) ?? elf;
    } catch (thrown) {
      if (!(thrown instanceof StillframeError)) throw thrown;
      const gone = deleted ? ', which was deleted or replaced while it was running' : '';
      const detail =
        file === path ? `${thrown.message}${gone}` : `${thrown.message} for module "${path}"${gone}`;
      return absent('no-debug-info', detail, { hint: '--exe FILE or --sysroot DIR say where binaries are' });
    }
  }

  #mismatch(elf: ElfFile, file: string): Absent | undefined {
    const { buildId, path, deleted } = this.facts;
    if (elf.machine !== this.#machine.number)
      return absent(
        'no-debug-info',
        `"${file}" is of machine ${findMachine(elf.machine)?.name ?? elf.machine}, but the process ran on ${this.#machine.name}`,
        { hint: '--exe FILE or --sysroot DIR say where the binary that was running is' },
      );
    if (buildId === undefined && deleted && file === path)
      return absent(
        'no-debug-info',
        `"${file}" was deleted or replaced while it was running, and its build id is not known`,
        {
          hint: '--exe FILE or --sysroot DIR say where the binary that was running is',
        },
      );
    if (buildId === undefined || buildId === (elf.buildId ?? '')) return undefined;
    const running = buildId === '' ? 'no build id' : `build id ${buildId}`;
    const found = elf.buildId === undefined ? 'no build id' : `build id ${elf.buildId}`;
    return absent('no-debug-info', `"${file}" has ${found}, but the file that was running has ${running}`, {
      hint: '--exe FILE or --sysroot DIR say where the binary that was running is',
    });
  }

  [Symbol.dispose](): void {
    this.#source?.[Symbol.dispose]();
    this.#source = undefined;
  }
}

/** The place of a mapped path on this host, under a sysroot if one is given. */
export function placeOf(path: string, sysroot: string | undefined): string {
  if (sysroot === undefined) return path;
  const inside = join(sysroot, path);
  if (existsSync(inside)) return inside;
  // A flat folder of binaries will do too.
  const flat = join(sysroot, path.slice(path.lastIndexOf('/') + 1));
  return existsSync(flat) ? flat : inside;
}

export function describeModule(facts: ModuleFacts): string {
  return `"${facts.path}" at ${hex(facts.start)}`;
}
