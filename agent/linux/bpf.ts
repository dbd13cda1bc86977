/**
 * bpf(2): maps, programs, links, iterators. Thin: each function is one command; what goes into a program is decided in agent/bpf.
 * All objects are file descriptors held by Disposables: when the process dies the kernel detaches every probe.
 */
import { closeSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { call, syscall, systemError } from './ffi.js';
import { HeldSignals } from './held-signals.js';

const SYS_bpf = 321;

const commands = {
  BPF_MAP_CREATE: 0,
  BPF_MAP_LOOKUP_ELEM: 1,
  BPF_MAP_UPDATE_ELEM: 2,
  BPF_MAP_DELETE_ELEM: 3,
  BPF_PROG_LOAD: 5,
  BPF_MAP_LOOKUP_BATCH: 24,
  BPF_LINK_CREATE: 28,
  BPF_LINK_GET_NEXT_ID: 31,
  BPF_ENABLE_STATS: 32,
  BPF_ITER_CREATE: 33,
  BPF_OBJ_GET_INFO_BY_FD: 15,
  BPF_BTF_LOAD: 18,
} as const;
type Command = keyof typeof commands;

export const mapTypes = {
  BPF_MAP_TYPE_HASH: 1,
  BPF_MAP_TYPE_ARRAY: 2,
  BPF_MAP_TYPE_PERCPU_HASH: 5,
  BPF_MAP_TYPE_LRU_HASH: 9,
  BPF_MAP_TYPE_RINGBUF: 27,
} as const;
export const programTypes = {
  BPF_PROG_TYPE_KPROBE: 2,
  BPF_PROG_TYPE_PERF_EVENT: 7,
  BPF_PROG_TYPE_TRACING: 26,
} as const;
export const attachTypes = {
  BPF_CGROUP_INET_INGRESS: 0,
  BPF_TRACE_ITER: 28,
  BPF_PERF_EVENT: 41,
  BPF_TRACE_UPROBE_MULTI: 48,
} as const;

const BPF_F_SLEEPABLE = 1 << 4;
const BPF_F_MMAPABLE = 1 << 10;
const attrBytes = 160;

/**
 * The address of a Buffer's bytes, for structures that carry pointers.
 *
 * NB: the address is good only as long as somebody holds the Buffer: see {@link Attributes.keep}.
 */
function addressOf(buffer: Buffer): bigint {
  if (buffer.length === 0) return 0n;
  return BigInt.asUintN(64, call('memmove', { buffer }, { buffer }, { i64: 0n }).value);
}

/** A `union bpf_attr` under construction, and the buffers that it points to. */
class Attributes {
  readonly bytes: Buffer = Buffer.alloc(attrBytes);
  readonly #held: Buffer[] = [];

  u32(offset: number, value: number): this {
    this.bytes.writeUInt32LE(value >>> 0, offset);
    return this;
  }

  pointer(offset: number, target: Buffer): this {
    this.#held.push(target);
    this.bytes.writeBigUInt64LE(addressOf(target), offset);
    return this;
  }

  name(offset: number, name: string): this {
    this.bytes.write(name.slice(0, 15).replaceAll(/[^A-Za-z0-9_.]/g, '_'), offset, 'latin1');
    return this;
  }

  /** Keeps the buffers alive up to here. */
  keep(): number {
    return this.#held.reduce((sum, buffer) => sum + buffer.length, 0);
  }
}

function bpf(command: Command, attributes: Attributes): { value: bigint; errno: number } {
  const result = syscall(
    SYS_bpf,
    { i64: BigInt(commands[command]) },
    { buffer: attributes.bytes },
    { i64: BigInt(attrBytes) },
  );
  attributes.keep();
  return result;
}

/** A file descriptor of a kernel object; closed once. */
export class BpfObject implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }
}

const privilegeHint = 'the tracer needs CAP_BPF and CAP_PERFMON (or root)';

function objectOf(action: string, result: { value: bigint; errno: number }, hint?: string): BpfObject {
  if (result.value < 0n) {
    const denied = result.errno === 1 || result.errno === 13;
    const text = hint ?? (denied ? privilegeHint : undefined);
    throw systemError(action, 'bpf', result.errno, text === undefined ? {} : { hint: text });
  }
  return new BpfObject(Number(result.value));
}

/** Of what is read of a map at once. */
const maxBatchBytes = 4 * 1024 * 1024;

export interface MapSpec {
  readonly type: keyof typeof mapTypes;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Its memory can be mapped, and looked at without asking the kernel (arrays only). */
  readonly isMappable?: boolean;
}

export class BpfMap extends BpfObject {
  readonly spec: MapSpec;

  constructor(fd: number, spec: MapSpec) {
    super(fd);
    this.spec = spec;
  }

  /** The value of a key; undefined when there is none. */
  lookup(key: Uint8Array): Buffer | undefined {
    const value = Buffer.alloc(this.spec.valueSize);
    const attributes = new Attributes().u32(0, this.fd).pointer(8, Buffer.from(key)).pointer(16, value);
    const result = bpf('BPF_MAP_LOOKUP_ELEM', attributes);
    if (result.value === 0n) return value;
    if (result.errno === 2) return undefined;
    throw systemError(`cannot read map "${this.spec.name}"`, 'bpf', result.errno);
  }

  update(key: Uint8Array, value: Uint8Array): void {
    const attributes = new Attributes()
      .u32(0, this.fd)
      .pointer(8, Buffer.from(key))
      .pointer(16, Buffer.from(value));
    const result = bpf('BPF_MAP_UPDATE_ELEM', attributes);
    if (result.value < 0n) throw systemError(`cannot write map "${this.spec.name}"`, 'bpf', result.errno);
  }

  /** Whether there was one. */
  delete(key: Uint8Array): boolean {
    const attributes = new Attributes().u32(0, this.fd).pointer(8, Buffer.from(key));
    const result = bpf('BPF_MAP_DELETE_ELEM', attributes);
    if (result.value === 0n) return true;
    if (result.errno === 2) return false;
    throw systemError(`cannot delete from map "${this.spec.name}"`, 'bpf', result.errno);
  }

  /**
   * All entries of a hash map, each once, with the values of all CPUs one after another where it has one for each. Those that come
   * meanwhile may be left out. A map that only grows loses none.
   */
  entries(cpus = 1): { readonly key: Buffer; readonly value: Buffer }[] {
    const { keySize, valueSize, maxEntries, name } = this.spec;
    const valueBytes = Math.ceil(valueSize / 8) * 8 * cpus;
    const most = Math.min(maxEntries, Math.max(64, Math.floor(maxBatchBytes / valueBytes)));
    const [keys, values] = [Buffer.alloc(most * keySize), Buffer.alloc(most * valueBytes)];
    const found: { key: Buffer; value: Buffer }[] = [];
    // The kernel's own mark of how far it came: as large as a key, or as a number.
    let [from, to] = [Buffer.alloc(Math.max(keySize, 8)), Buffer.alloc(Math.max(keySize, 8))];
    for (let isFirst = true; found.length <= maxEntries; isFirst = false) {
      const attributes = new Attributes().pointer(8, to).pointer(16, keys).pointer(24, values);
      attributes.u32(32, most).u32(36, this.fd);
      if (!isFirst) attributes.pointer(0, from);
      const result = bpf('BPF_MAP_LOOKUP_BATCH', attributes);
      if (result.value < 0n && result.errno !== 2)
        throw systemError(`cannot read map "${name}"`, 'bpf', result.errno);
      const count = attributes.bytes.readUInt32LE(32);
      for (let i = 0; i < count; i++) {
        const key = Buffer.from(keys.subarray(i * keySize, (i + 1) * keySize));
        found.push({ key, value: Buffer.from(values.subarray(i * valueBytes, (i + 1) * valueBytes)) });
      }
      if (result.value < 0n) return found;
      [from, to] = [to, from];
    }
    return found;
  }

  /** Removes a key; one that is not there is no error. */
  remove(key: Uint8Array): void {
    const attributes = new Attributes().u32(0, this.fd).pointer(8, Buffer.from(key));
    const result = bpf('BPF_MAP_DELETE_ELEM', attributes);
    if (result.value < 0n && result.errno !== 2)
      throw systemError(`cannot delete from map "${this.spec.name}"`, 'bpf', result.errno);
  }
}

export function createMap(spec: MapSpec): BpfMap {
  const attributes = new Attributes()
    .u32(0, mapTypes[spec.type])
    .u32(4, spec.keySize)
    .u32(8, spec.valueSize)
    .u32(12, spec.maxEntries)
    .u32(16, spec.isMappable === true ? BPF_F_MMAPABLE : 0)
    .name(28, spec.name);
  const object = objectOf(`cannot create map "${spec.name}"`, bpf('BPF_MAP_CREATE', attributes));
  return new BpfMap(object.fd, spec);
}

export interface ProgramSpec {
  readonly type: keyof typeof programTypes;
  readonly attachType: keyof typeof attachTypes;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sleepable: boolean;
  /** For iterators: the BTF id of the `bpf_iter_*` function. */
  readonly attachBtfId?: number;
  /** Of programs with functions that helpers call: their types, by {@link loadTypes}. */
  readonly functions?: ProgramFunctions;
}

export interface ProgramFunctions {
  readonly types: BpfObject;
  /** Index of the first instruction of each function, the program itself first, and the id of its type. */
  readonly places: readonly { readonly instruction: number; readonly typeId: number }[];
}

/** Types of a program (BTF), for the kernel to hold. */
export function loadTypes(btf: Uint8Array): BpfObject {
  const attributes = new Attributes().pointer(0, Buffer.from(btf)).u32(16, btf.length);
  return objectOf('cannot load the types of a program', bpf('BPF_BTF_LOAD', attributes));
}

/** What the verifier said about a program that it refused. */
export interface ProgramRefusal {
  readonly errno: number;
  /** The end of the verifier's log; empty when the refusal came before it. */
  readonly log: string;
}

/**
 * Loads a program. A refusal is a result, not an error, since only the caller can say which part of the program it is about. The log is
 * asked for only after a first refusal: writing it makes the verifier several times slower.
 */
export function loadProgram(spec: ProgramSpec): BpfObject | ProgramRefusal {
  const first = tryLoad(spec, undefined);
  if (first.value >= 0n) return new BpfObject(Number(first.value));
  const log = Buffer.alloc(1 << 20);
  const second = tryLoad(spec, log);
  if (second.value >= 0n) return new BpfObject(Number(second.value));
  const end = log.indexOf(0);
  return {
    // NB: with a log that does not fit, the kernel answers ENOSPC and keeps the log's end.
    errno: first.errno,
    log: log.toString('latin1', 0, end < 0 ? log.length : end),
  };
}

const EAGAIN = 11;
/** The verifier gives up with EAGAIN when a signal waits for its thread, or work of the kernel's own, which cannot be held. That says nothing about the program. */
const mostInterruptions = 50;

function tryLoad(spec: ProgramSpec, log: Buffer | undefined): { value: bigint; errno: number } {
  const attributes = new Attributes()
    .u32(0, programTypes[spec.type])
    .u32(4, spec.bytes.length / 8)
    .pointer(8, Buffer.from(spec.bytes))
    // Helpers that read user memory are for programs under a licence compatible with the kernel's.
    .pointer(16, Buffer.from('GPL\0', 'latin1'))
    .u32(44, spec.sleepable ? BPF_F_SLEEPABLE : 0)
    .name(48, spec.name)
    .u32(68, attachTypes[spec.attachType]);
  if (log !== undefined) attributes.u32(24, 1).u32(28, log.length).pointer(32, log);
  if (spec.attachBtfId !== undefined) attributes.u32(108, spec.attachBtfId);
  if (spec.functions !== undefined) describeFunctions(attributes, spec.functions);
  // On a busy machine a signal may come in each of many looks.
  using _held = new HeldSignals();
  for (let left = mostInterruptions; ; left--) {
    const loaded = bpf('BPF_PROG_LOAD', attributes);
    if (loaded.value >= 0n || loaded.errno !== EAGAIN || left === 0) return loaded;
  }
}

/** `struct bpf_func_info`: where, and of which type. */
const functionInfoBytes = 8;

function describeFunctions(attributes: Attributes, { types, places }: ProgramFunctions): void {
  const info = Buffer.alloc(places.length * functionInfoBytes);
  places.forEach(({ instruction, typeId }, i) => {
    info.writeUInt32LE(instruction, i * functionInfoBytes);
    info.writeUInt32LE(typeId, i * functionInfoBytes + 4);
  });
  attributes.u32(72, types.fd).u32(76, functionInfoBytes).pointer(80, info).u32(88, places.length);
}

/** While it is held, the kernel counts how long eBPF programs run (`BPF_ENABLE_STATS`), for all of the host. */
export function enableRunStatistics(): BpfObject {
  // BPF_STATS_RUN_TIME is 0.
  return objectOf('cannot count the time of eBPF programs', bpf('BPF_ENABLE_STATS', new Attributes()));
}

/** How long a program ran so far, as far as {@link enableRunStatistics} was held meanwhile. */
export function programRunTimeNs(program: BpfObject): number {
  return Number(objectInfo(program.fd, 256).readBigUInt64LE(192));
}

export interface ProgramRuns {
  readonly count: bigint;
  readonly timeNs: bigint;
}

/** How often a program ran, and for how long, as far as {@link enableRunStatistics} was held meanwhile. */
export function programRuns(program: BpfObject): ProgramRuns {
  const info = objectInfo(program.fd, 256);
  return { timeNs: info.readBigUInt64LE(192), count: info.readBigUInt64LE(200) };
}

function objectInfo(fd: number, length: number): Buffer {
  const info = Buffer.alloc(length);
  const attributes = new Attributes().u32(0, fd).u32(4, info.length).pointer(8, info);
  const result = bpf('BPF_OBJ_GET_INFO_BY_FD', attributes);
  if (result.value < 0n) throw systemError('cannot read the facts of an eBPF object', 'bpf', result.errno);
  return info;
}

/** A link: a program attached. Closing it detaches, and returns when the kernel has done so. */
export class BpfLink extends BpfObject {
  /** The kernel's id, by which others see it. */
  readonly id: number;

  constructor(fd: number) {
    super(fd);
    this.id = objectInfo(fd, 128).readUInt32LE(4);
  }

  /** Whether the kernel knows it: by its descriptor while that is open, and by its list of links after. */
  isPresent(): boolean {
    if (this.isOpen) return objectInfo(this.fd, 128).readUInt32LE(4) === this.id;
    // Where listing is not allowed: nothing but the descriptor held it, and closing returns when it is detached.
    return linkIds()?.includes(this.id) ?? false;
  }
}

export interface UprobeMultiSpec {
  readonly program: BpfObject;
  /** A path that opens the inode that the target maps. */
  readonly path: string;
  readonly fileOffsets: readonly number[];
  /** What `bpf_get_attach_cookie` gives at each of them. */
  readonly cookies?: readonly bigint[];
  readonly pid: number;
}

/**
 * Attaches a program to addresses of a file in one process (`BPF_TRACE_UPROBE_MULTI`; Linux 6.6): the kernel writes its breakpoints
 * only into that process.
 */
export function linkUprobeMulti(spec: UprobeMultiSpec): BpfLink {
  const offsets = Buffer.alloc(spec.fileOffsets.length * 8);
  spec.fileOffsets.forEach((offset, i) => offsets.writeBigUInt64LE(BigInt(offset), i * 8));
  const attributes = new Attributes()
    .u32(0, spec.program.fd)
    .u32(8, attachTypes.BPF_TRACE_UPROBE_MULTI)
    .pointer(16, Buffer.from(`${spec.path}\0`))
    .pointer(24, offsets)
    .u32(48, spec.fileOffsets.length)
    .u32(56, spec.pid);
  if (spec.cookies !== undefined) {
    const cookies = Buffer.alloc(offsets.length);
    spec.cookies.forEach((cookie, i) => cookies.writeBigUInt64LE(cookie, i * 8));
    attributes.pointer(40, cookies);
  }
  const result = bpf('BPF_LINK_CREATE', attributes);
  if (result.value < 0n) {
    throw systemError(`cannot attach to "${spec.path}" of process ${spec.pid}`, 'bpf', result.errno, {
      pid: spec.pid,
      ...(result.errno === 1 ? { hint: privilegeHint } : {}),
    });
  }
  return new BpfLink(Number(result.value));
}

/** Runs a program at each sample of a perf event (`BPF_PERF_EVENT`; Linux 5.15). What threads inherit of the event has the program, and no cookie. */
export function linkPerfEvent(program: BpfObject, eventFd: number, cookie: bigint): BpfLink {
  const attributes = new Attributes()
    .u32(0, program.fd)
    .u32(4, eventFd)
    .u32(8, attachTypes.BPF_PERF_EVENT)
    .u32(16, Number(cookie & 0xffff_ffffn))
    .u32(20, Number(cookie >> 32n));
  const result = bpf('BPF_LINK_CREATE', attributes);
  if (result.value < 0n) {
    const options = result.errno === 1 ? { hint: privilegeHint } : {};
    throw systemError('cannot attach to a perf event', 'bpf', result.errno, options);
  }
  return new BpfLink(Number(result.value));
}

/** A link of a task iterator over the threads of one process, or over one thread. */
export function linkTaskIterator(
  program: BpfObject,
  filter: { readonly pid: number } | { readonly tid: number },
): BpfLink {
  // union bpf_iter_link_info, task: tid, pid, pid_fd.
  const info = Buffer.alloc(16);
  if ('tid' in filter) info.writeUInt32LE(filter.tid, 0);
  else info.writeUInt32LE(filter.pid, 4);
  const attributes = new Attributes()
    .u32(0, program.fd)
    .u32(8, attachTypes.BPF_TRACE_ITER)
    .pointer(16, info)
    .u32(24, info.length);
  const result = bpf('BPF_LINK_CREATE', attributes);
  if (result.value < 0n) throw systemError('cannot link the task iterator', 'bpf', result.errno);
  return new BpfLink(Number(result.value));
}

/** One run of an iterator: it runs while its descriptor is read. */
export function createIterator(link: BpfLink): BpfObject {
  return objectOf('cannot start the task iterator', bpf('BPF_ITER_CREATE', new Attributes().u32(0, link.fd)));
}

/** The ids of all links on this host, to show that one is gone; undefined without CAP_SYS_ADMIN, which listing takes. */
export function linkIds(): number[] | undefined {
  const ids: number[] = [];
  for (let id = 0; ids.length < 1_000_000;) {
    const attributes = new Attributes().u32(0, id);
    const result = bpf('BPF_LINK_GET_NEXT_ID', attributes);
    if (result.value < 0n) {
      if (result.errno === 2) return ids;
      if (result.errno === 1) return undefined;
      throw systemError('cannot list links', 'bpf', result.errno);
    }
    id = attributes.bytes.readUInt32LE(4);
    ids.push(id);
  }
  throw new StillframeError('limit', 'the kernel lists more than 1000000 links');
}
