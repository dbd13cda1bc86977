/**
 * The goroutines of a core of a Go program (runtime/runtime2.go): `runtime.allgs` leads to all of them, debug information says what lies where in each. One
 * that runs has the registers of its thread; of the others the runtime saved where they go on. Only what was captured whole can be listed: a snapshot of a
 * point has none.
 */
import { absent, type Absent, isAbsent } from '../../format/absent.js';
import { toRuntime } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import type { MemoryReader } from '../../format/memory.js';
import type { CoreThread } from '../../format/core/read.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { findMember, stripType } from '../types/layout.js';
import { decodeInteger } from '../../format/integer.js';
import { readInteger } from '../types/read.js';
import type { Type } from '../types/type.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';

export interface Goroutine {
  readonly id: bigint;
  /** As the runtime calls it: `running`, `waiting`. */
  readonly state: string;
  /** `chan receive`; undefined where it does not wait. */
  readonly waitReason?: string;
  /** The thread that runs it. */
  readonly thread?: number;
  /** A thread, or what stands for one: the registers that the goroutine goes on with. Its tid is the thread's, or 0. */
  readonly stack: SnapshotThread;
}

/** In the order of the runtime: by their ids, more or less. Undefined where the program is none of Go, absent where they cannot be listed. */
export function goroutines(snapshot: Snapshot): readonly (Goroutine | Absent)[] | Absent | undefined {
  const runtime = findRuntime(snapshot);
  if (runtime === undefined || isAbsent(runtime)) return runtime;
  return list(snapshot, runtime);
}

/** Throws `not-found` where there is no such goroutine, or none can be told. */
export function findGoroutine(snapshot: Snapshot, id: number): Goroutine {
  const all = goroutines(snapshot);
  if (all === undefined) {
    throw new StillframeError('not-found', `cannot find goroutine ${id}: the program is none of Go`);
  }
  if (isAbsent(all)) {
    const hint =
      snapshot.core.note === undefined
        ? {}
        : { hint: 'a core of the whole process has all goroutines: stillframe core TARGET --full' };
    throw new StillframeError('not-found', `cannot find goroutine ${id}: ${all.detail}`, hint);
  }
  const found = all.find((each) => !isAbsent(each) && each.id === BigInt(id));
  if (found !== undefined && !isAbsent(found)) return found;
  const why = all.find((each) => isAbsent(each));
  throw new StillframeError(
    'not-found',
    why === undefined
      ? `cannot find goroutine ${id} in the core`
      : `cannot find goroutine ${id} in the core, which does not have all: ${why.detail}`,
    { candidates: all.flatMap((each) => (isAbsent(each) ? [] : [`${each.id}`])).slice(0, maxCandidates) },
  );
}

/** Goroutines that a message lists. */
const maxCandidates = 20;

interface Runtime {
  readonly module: SnapshotModule;
  readonly symbols: ModuleSymbols;
  readonly g: Fields;
  readonly m: Fields;
}

function findRuntime(snapshot: Snapshot): Runtime | Absent | undefined {
  const module = snapshot.executable;
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  if (symbols.findSymbol('runtime.allgptr') === undefined) return undefined;
  const [g, m] = [symbols.findType('runtime.g'), symbols.findType('runtime.m')];
  if (g === undefined || m === undefined)
    return absent('no-debug-info', `"${module.facts.path}" has no debug information of Go's runtime`);
  return { module, symbols, g: new Fields(g), m: new Fields(m) };
}

/** Those of a program that leaks them. */
const maxGoroutines = 100_000;

function list(snapshot: Snapshot, runtime: Runtime): readonly (Goroutine | Absent)[] | Absent {
  const first = readGlobal(snapshot, runtime, 'runtime.allgptr');
  const count = readGlobal(snapshot, runtime, 'runtime.allglen');
  if (isAbsent(first)) return first;
  if (isAbsent(count)) return count;
  if (count > 1n << 40n) return absent('unreadable', `corrupt: the runtime has ${count} goroutines`);
  const found: (Goroutine | Absent)[] = [];
  for (let i = 0n; i < count; i++) {
    if (found.length >= maxGoroutines) {
      found.push(absent('limit', `more than ${maxGoroutines} goroutines`));
      break;
    }
    const read = snapshot.memory.read(BigInt.asUintN(64, first + i * 8n), 8);
    if (isAbsent(read)) {
      found.push(read);
      break;
    }
    const goroutine = readGoroutine(snapshot, runtime, decodeInteger(read.bytes, false));
    if (goroutine !== undefined) found.push(goroutine);
  }
  return found;
}

function readGlobal(snapshot: Snapshot, { module, symbols }: Runtime, name: string): bigint | Absent {
  const symbol = symbols.findSymbol(name);
  if (symbol === undefined) return absent('no-debug-info', `"${module.facts.path}" has no symbol ${name}`);
  const read = snapshot.memory.read(toRuntime(symbol.address, module.bias), 8);
  return isAbsent(read) ? read : decodeInteger(read.bytes, false);
}

/** runtime/runtime2.go `_Gidle` and so on. */
const states: ReadonlyMap<number, string> = new Map([
  [0, 'idle'],
  [1, 'runnable'],
  [2, 'running'],
  [3, 'syscall'],
  [4, 'waiting'],
  [8, 'copystack'],
  [9, 'preempted'],
]);
const stateDead = 6;
const stateWaiting = 4;
const flagScan = 0x1000n;

/** Undefined for one that has ended: the runtime keeps it for the next. */
function readGoroutine(
  snapshot: Snapshot,
  runtime: Runtime,
  address: bigint,
): Goroutine | Absent | undefined {
  const { memory } = snapshot;
  const field: Field = (...path) => runtime.g.read(address, path, memory);
  const status = field('atomicstatus');
  if (isAbsent(status)) return status;
  const number = Number(status & ~flagScan);
  if (number === stateDead) return undefined;
  const state = states.get(number);
  const id = field('goid');
  if (isAbsent(id)) return id;
  if (state === undefined)
    return absent('unreadable', `corrupt: goroutine ${id} is in a state ${status}`, { address });
  const reason = number === stateWaiting ? waitReason(snapshot, runtime, field('waitreason')) : undefined;
  const thread = threadOf(snapshot, runtime, field);
  const stack = stackOf(snapshot, id, state, thread, field);
  return {
    id,
    state,
    ...(reason === undefined ? {} : { waitReason: reason }),
    ...(thread === undefined ? {} : { thread: thread.tid }),
    stack,
  };
}

type Field = (...path: readonly string[]) => bigint | Absent;

interface FieldPlace {
  readonly offset: number;
  readonly type: Type;
}

/** Where a member of a member lies, by the names of both: looked for once, for there may be a hundred thousand goroutines. */
class Fields {
  readonly #type: Type;
  readonly #places = new Map<string, FieldPlace | Absent>();

  constructor(type: Type) {
    this.#type = type;
  }

  read(address: bigint, path: readonly string[], memory: MemoryReader): bigint | Absent {
    const name = path.join('.');
    let place = this.#places.get(name);
    if (place === undefined) this.#places.set(name, (place = this.#find(path)));
    if (isAbsent(place)) return place;
    const { offset, type } = place;
    const at = BigInt.asUintN(64, address + BigInt(offset));
    return readInteger({ type, place: { kind: 'memory', address: at } }, memory);
  }

  /** NB: what the runtime changes atomically is an integer until Go 1.19, and a struct around one since. */
  #find(path: readonly string[]): FieldPlace | Absent {
    let type = this.#type;
    let offset = 0;
    for (const name of path) {
      const member = findMember(type, name);
      if (member === undefined)
        return absent('no-debug-info', `Go's runtime has no ${path.join('.')} as it is known`);
      offset += member.byteOffset;
      ({ type } = member);
    }
    const value = stripType(type).kind === 'struct' ? findMember(type, 'value') : undefined;
    return value === undefined ? { offset, type } : { offset: offset + value.byteOffset, type: value.type };
  }
}

/** The runtime's own words, an array of strings: which number means what changes from version to version. */
function waitReason(snapshot: Snapshot, runtime: Runtime, number: bigint | Absent): string | undefined {
  const symbol = runtime.symbols.findSymbol('runtime.waitReasonStrings');
  if (isAbsent(number) || symbol === undefined || number < 0n || number >= symbol.size / 16) return undefined;
  const { memory } = snapshot;
  const read = memory.read(toRuntime(symbol.address, runtime.module.bias) + number * 16n, 16);
  if (isAbsent(read)) return undefined;
  const length = decodeInteger(read.bytes.subarray(8), false);
  if (length === 0n || length > 100n) return undefined;
  const text = memory.read(decodeInteger(read.bytes.subarray(0, 8), false), Number(length));
  return isAbsent(text) ? undefined : Buffer.from(text.bytes).toString('latin1');
}

/** Undefined where no thread runs it, or none that the core has. */
function threadOf(snapshot: Snapshot, runtime: Runtime, field: Field): SnapshotThread | undefined {
  const machine = field('m');
  if (isAbsent(machine) || machine === 0n) return undefined;
  const tid = runtime.m.read(machine, ['procid'], snapshot.memory);
  return isAbsent(tid) ? undefined : snapshot.findThread(Number(tid));
}

/** That of its thread while the thread is on the goroutine's stack; else what was saved when it left it. */
function stackOf(
  snapshot: Snapshot,
  id: bigint,
  state: string,
  thread: SnapshotThread | undefined,
  field: Field,
): SnapshotThread {
  if (thread !== undefined && reachesStack(snapshot, thread, field)) return thread;
  const [pc, sp, bp] = [field('sched', 'pc'), field('sched', 'sp'), field('sched', 'bp')];
  const base = { tid: thread?.tid ?? 0, comm: '', state };
  const none = (why: Absent): SnapshotThread => ({
    ...base,
    registers: undefined,
    note: undefined,
    absent: why,
  });
  if (isAbsent(pc)) return none(pc);
  if (isAbsent(sp)) return none(sp);
  if (pc === 0n || sp === 0n)
    return none(absent('unreadable', `where goroutine ${id} goes on was not saved`));
  const saved = savedRegisters(snapshot, { pc, sp, bp: isAbsent(bp) || bp === 0n ? undefined : bp });
  return { ...base, ...saved };
}

/** NB: a thread may stand on a stack of the runtime's (a signal came, or it schedules) and still lead back to the goroutine's. */
function reachesStack(snapshot: Snapshot, thread: SnapshotThread, field: Field): boolean {
  const [low, high] = [field('stack', 'lo'), field('stack', 'hi')];
  if (isAbsent(low) || isAbsent(high)) return false;
  const { stackPointer } = snapshot.architecture;
  return snapshot.stackOf(thread).frames.some(({ registers }) => {
    const sp = registers.value(stackPointer);
    return !isAbsent(sp) && sp >= low && sp < high;
  });
}

interface Saved {
  readonly pc: bigint;
  readonly sp: bigint;
  readonly bp: bigint | undefined;
}

function savedRegisters(
  snapshot: Snapshot,
  { pc, sp, bp }: Saved,
): Pick<SnapshotThread, 'registers' | 'note'> {
  const { architecture } = snapshot;
  const values = new Map([
    [architecture.programCounter, pc],
    [architecture.stackPointer, sp],
    ...(bp === undefined ? [] : [[architecture.framePointer, bp] as const]),
  ]);
  const registers = new Uint8Array(architecture.userRegistersBytes);
  const view = new DataView(registers.buffer);
  const unknownRegisters: string[] = [];
  for (const [number, { name, offset }] of architecture.registers) {
    const value = values.get(number);
    if (value === undefined) unknownRegisters.push(name);
    else view.setBigUint64(offset, value, true);
  }
  const core: CoreThread = { tid: 0, parentPid: 0, signal: 0, registers, registerSets: new Map() };
  const note = { tid: 0, comm: '', state: '', provenance: 'stopped', unknownRegisters } as const;
  return { registers: core, note };
}
