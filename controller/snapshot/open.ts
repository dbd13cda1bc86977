/**
 * A core file opened as a snapshot: its threads with their stacks, its memory, its modules with their debug information. One way for all
 * cores: ours, the kernel's, gcore's. What our note says is believed after the core's own facts; nothing is guessed.
 */
import { absent, type Absent } from '../../format/absent.js';
import { loadBias } from '../../format/address.js';
import type { ByteSource } from '../../format/byte-source.js';
import { AT } from '../../format/core/auxv.js';
import { openCore, type CoreFile, type CoreThread } from '../../format/core/read.js';
import type { NoteThread } from '../../format/core/stillframe-note.js';
import { PF, PT } from '../../format/elf/constants.js';
import type { ElfFile } from '../../format/elf/file.js';
import { defaultLimits, type Limits } from '../../format/limits.js';
import type { MemoryReader } from '../../format/memory.js';
import { openCallFrames } from '../dwarf/call-frame-table.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { openModuleSymbols } from '../symbols/open.js';
import type { Architecture, ThreadState } from '../unwind/architecture.js';
import { architectureOf } from '../unwind/architectures.js';
import { unwindThread, type Unwound } from '../unwind/unwind.js';
import { openFileSource } from './file-source.js';
import { discoverLinkedModules } from './linked-modules.js';
import { discoverModules, vdsoAt, type DiscoveryInput } from './mapped-files.js';
import { SnapshotMemory } from './memory.js';
import { placeOf, SnapshotModule, type ModuleFacts, type OpenSymbols } from './module.js';
import { ModuleTable } from './module-table.js';

export interface SnapshotOptions {
  /** The program's file, where it is not at the path that the core says. */
  readonly exe?: string | undefined;
  /** A folder that has the files of the host that the core is from. */
  readonly sysroot?: string | undefined;
  readonly limits?: Limits;
  /** For tests that want no debug information. */
  readonly openSymbols?: OpenSymbols;
}

export interface SnapshotThread {
  readonly tid: number;
  /** Empty where a core of others does not say. */
  readonly comm: string;
  /** The letter of /proc/PID/stat; `?` where a core of others does not say. */
  readonly state: string;
  /** Undefined when its registers could not be had, and then `absent` says why. */
  readonly registers: CoreThread | undefined;
  readonly note: NoteThread | undefined;
  readonly absent?: Absent;
}

export class Snapshot implements Disposable {
  readonly core: CoreFile;
  readonly modules: ModuleTable;
  readonly memory: MemoryReader;
  readonly limits: Limits;
  readonly architecture: Architecture;
  /** The one that hit, or crashed, first. */
  readonly threads: readonly SnapshotThread[];
  readonly #stacks = new WeakMap<SnapshotThread, Unwound<SnapshotModule>>();
  readonly #source: Disposable | undefined;

  constructor(core: CoreFile, options: SnapshotOptions, source: Disposable | undefined) {
    this.core = core;
    this.architecture = architectureOf(core.elf.machine);
    this.limits = options.limits ?? defaultLimits;
    this.#source = source;
    const loads = core.elf.segments.filter((segment) => segment.type === PT.PT_LOAD);
    const executable = loads
      .filter((segment) => (segment.flags & PF.PF_X) !== 0)
      .map((segment) => ({
        start: segment.virtualAddress,
        end: segment.virtualAddress + segment.memorySize,
      }));
    const modules = moduleFacts(core, options)
      .slice(0, this.limits.maxModules)
      .map((facts) => new SnapshotModule(facts, options.openSymbols ?? openSymbols, this.architecture));
    this.modules = new ModuleTable(modules, executable);
    this.memory = new SnapshotMemory(
      { memory: core.memory, starts: loads.map((segment) => segment.virtualAddress) },
      this.modules,
      core.note?.missing ?? [],
    );
    this.threads = threadsOf(core);
  }

  get pid(): number {
    return this.core.note?.pid ?? this.core.process?.pid ?? this.core.threads[0]?.tid ?? 0;
  }

  get comm(): string {
    return this.core.note?.comm ?? this.core.process?.comm ?? '';
  }

  findThread(tid: number): SnapshotThread | undefined {
    return this.threads.find((thread) => thread.tid === tid);
  }

  /** The main executable, by the auxiliary vector. */
  get executable(): SnapshotModule | undefined {
    const address = executableAddress(this.core);
    return address === undefined ? undefined : this.modules.find(address);
  }

  /** Physical frames, innermost first. Kept. */
  stackOf(thread: SnapshotThread): Unwound<SnapshotModule> {
    const known = this.#stacks.get(thread);
    if (known !== undefined) return known;
    const stack = this.#unwind(thread);
    this.#stacks.set(thread, stack);
    return stack;
  }

  #unwind(thread: SnapshotThread): Unwound<SnapshotModule> {
    const { registers, note } = thread;
    if (registers === undefined)
      return {
        frames: [],
        stopped: thread.absent ?? absent('not-captured', 'its registers were not captured'),
      };
    return unwindThread({
      thread: stateOf(registers, note),
      architecture: this.architecture,
      memory: this.memory,
      modules: this.modules,
      limits: this.limits,
    });
  }

  [Symbol.dispose](): void {
    this.modules[Symbol.dispose]();
    this.#source?.[Symbol.dispose]();
  }
}

/** What unwinding wants of a thread. */
export function stateOf(registers: CoreThread, note: NoteThread | undefined): ThreadState {
  return {
    registers: registers.registers,
    unknownRegisters: note?.unknownRegisters ?? [],
    provenance: note?.provenance ?? 'stopped',
    fpRegisters: registers.fpRegisters,
    registerSets: registers.registerSets,
  };
}

/** Opens a core by path, or any bytes that are one. Throws `not-found`, or `bad-data` when it is not a core. */
export function openSnapshot(core: string | ByteSource, options: SnapshotOptions = {}): Snapshot {
  const limits = options.limits ?? defaultLimits;
  if (typeof core !== 'string') return new Snapshot(openCore(core, limits), options, undefined);
  const source = openFileSource(core);
  try {
    return new Snapshot(openCore(source, limits), options, source);
  } catch (thrown) {
    source[Symbol.dispose]();
    throw thrown;
  }
}

function openSymbols(elf: ElfFile): ModuleSymbols {
  return openModuleSymbols(elf, elf.source.name, openCallFrames(elf));
}

function executableAddress(core: CoreFile): bigint | undefined {
  return core.auxv.get(AT.AT_ENTRY) ?? core.auxv.get(AT.AT_PHDR);
}

function moduleFacts(core: CoreFile, options: SnapshotOptions): ModuleFacts[] {
  const { memory, auxv, note } = core;
  if (note === undefined || note.modules.length === 0)
    return modulesOfCore({ ...options, files: core.mappings, auxv, memory });
  const entry = executableAddress(core);
  const facts = note.modules.map(({ path, buildId, start, end, bias, deleted }): ModuleFacts => {
    const isExecutable = entry !== undefined && entry >= start && entry < end;
    const file = isExecutable && options.exe !== undefined ? options.exe : placeOf(path, options.sysroot);
    // The agent writes an empty build id also where it could not read the file.
    return {
      path,
      file,
      start,
      end,
      bias: loadBias(bias),
      deleted,
      buildId: buildId === '' ? undefined : buildId,
      // NB: the pid may be another process's by now, or be of another host: the build id decides.
      ...(isExecutable && options.exe === undefined ? { links: [`/proc/${note.pid}/exe`] } : {}),
    };
  });
  const vdso = auxv.get(AT.AT_SYSINFO_EHDR);
  const image = vdso === undefined ? undefined : vdsoAt(vdso, memory);
  if (image === undefined) return facts;
  return [...facts.filter((each) => each.start !== image.start), image];
}

/** Of a core that has no note of ours. */
function modulesOfCore(input: DiscoveryInput): ModuleFacts[] {
  const listed = discoverModules(input);
  return input.files.length > 0 ? listed : [...discoverLinkedModules(input), ...listed];
}

/** All threads that the core has registers of, or that the note speaks of. */
function threadsOf(core: CoreFile): SnapshotThread[] {
  const notes = new Map(core.note?.threads.map((thread) => [thread.tid, thread]));
  const withRegisters = core.threads.map((registers): SnapshotThread => {
    const note = notes.get(registers.tid);
    // The core of others has one name: that of the main thread.
    const comm = note?.comm ?? (registers.tid === core.process?.pid ? core.process.comm : '');
    return { tid: registers.tid, comm, state: note?.state ?? '?', registers, note };
  });
  const known = new Set(withRegisters.map((thread) => thread.tid));
  const without = [...notes.values()]
    .filter((note) => !known.has(note.tid))
    .map((note): SnapshotThread => {
      const { reason, detail } = note.absent ?? {
        reason: 'not-captured' as const,
        detail: 'its registers were not captured',
      };
      const { tid, comm, state } = note;
      return { tid, comm, state, registers: undefined, note, absent: absent(reason, detail) };
    });
  return [...withRegisters, ...without];
}
