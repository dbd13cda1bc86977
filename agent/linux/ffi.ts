/**
 * The door to the C library: the only importer of ffi-rs. Every call that the agent makes into libc goes through `call`,
 * which validates argument ranges, because ffi-rs checks nothing and kills the process on a wrong type.
 * Runs only in the tracer process (and its worker threads), never in the front.
 *
 * How ffi-rs must be used is in docs/architecture.md, "FFI": only I32, BigInt and Buffers that somebody holds on to; all symbols are
 * resolved on the main thread before a worker starts; never `runInNewThread`.
 */
import { isMainThread } from 'node:worker_threads';
import { DataType, createExternalBuffer, load, open } from 'ffi-rs';
import { StillframeError } from '../../format/error.js';
import { errnoName } from './errno.js';

/**
 * NB: ffi-rs keeps the symbols of a library in one table for all threads, without a lock: a thread that looks one up while another adds one
 * crashes the process. So workers have a table of their own, which {@link resolveForWorkers} fills before they start.
 */
const workerLibrary = 'c for workers';
const library = isMainThread ? 'c' : workerLibrary;
const path = 'libc.so.6';
let opened = false;

function openLibrary(): void {
  if (opened) return;
  open({ library, path });
  opened = true;
}

let resolvedForWorkers = false;

/** To be called on the main thread before any worker that makes calls starts. Workers may call `poll`, {@link syscall}, {@link bufferAt} and {@link callBack}, nothing else. */
export function resolveForWorkers(): void {
  if (resolvedForWorkers) return;
  open({ library: workerLibrary, path });
  const nothing = { library: workerLibrary, retType: DataType.BigInt };
  const longs = [DataType.BigInt, DataType.BigInt, DataType.BigInt];
  load({ ...nothing, funcName: 'memmove', paramsType: longs, paramsValue: [0n, 0n, 0n] });
  load({ ...nothing, funcName: 'poll', paramsType: longs, paramsValue: [0n, 0n, 0n] });
  load({ ...nothing, funcName: 'syscall', paramsType: longs, paramsValue: [-1n, 0n, 0n] });
  load({ ...nothing, funcName: 'twalk', paramsType: longs, paramsValue: [0n, 0n, 0n] });
  resolvedForWorkers = true;
}

export type Argument =
  /** A C int. */
  | { readonly i32: number }
  /** A long, a size_t, a pointer given as an address. */
  | { readonly i64: bigint }
  /** A pointer to these bytes; the caller keeps the buffer alive for as long as the kernel uses it. */
  | { readonly buffer: Buffer };

export interface CallResult {
  /** The C return value, sign-extended to 64 bits. */
  readonly value: bigint;
  /** errno when `value` is -1. */
  readonly errno: number;
}

/**
 * Calls a libc function that returns a long (or pointer). The result's sign is kept.
 *
 * NB: a libc function that returns `int` leaves the upper half of the register undefined; use {@link callInt} for those.
 */
export function call(name: string, ...args: readonly Argument[]): CallResult {
  openLibrary();
  const result = load<DataType.BigInt, true>({
    library,
    funcName: name,
    retType: DataType.BigInt,
    paramsType: args.map(typeOf),
    paramsValue: args.map(valueOf),
    errno: true,
  });
  const value = BigInt.asIntN(64, result.value.valueOf());
  return { value, errno: value === -1n ? result.errnoCode : 0 };
}

/** The same for functions that return an int. */
export function callInt(name: string, ...args: readonly Argument[]): { value: number; errno: number } {
  openLibrary();
  const result = load<DataType.I32, true>({
    library,
    funcName: name,
    retType: DataType.I32,
    paramsType: args.map(typeOf),
    paramsValue: args.map(valueOf),
    errno: true,
  });
  return { value: result.value, errno: result.value === -1 ? result.errnoCode : 0 };
}

/** A raw system call by number; fails with errno as libc's `syscall` does. */
export function syscall(number: number, ...args: readonly Argument[]): CallResult {
  return call('syscall', { i64: BigInt(number) }, ...args);
}

/** The error for a failed call: `cannot attach the probe: bpf: EPERM`. */
export function systemError(
  action: string,
  name: string,
  errno: number,
  options: { pid?: number; hint?: string } = {},
): StillframeError {
  const symbolic = errnoName(errno);
  const denied = symbolic === 'EPERM' || symbolic === 'EACCES';
  return new StillframeError(denied ? 'denied' : 'system', `${action}: ${name}: ${symbolic}`, {
    detail: {
      errno,
      errnoName: symbolic,
      syscall: name,
      ...(options.pid === undefined ? {} : { pid: options.pid }),
    },
    ...(options.hint === undefined ? {} : { hint: options.hint }),
  });
}

/**
 * Wraps memory at an address (from `mmap`) as a Buffer without copying. The caller unmaps it only after the last use.
 *
 * NB: an External with a chosen address cannot be made directly; `memmove(addr, addr, 0)` returns one.
 */
export function bufferAt(address: bigint, length: number): Buffer {
  openLibrary();
  const external = load({
    library,
    funcName: 'memmove',
    retType: DataType.External,
    paramsType: [DataType.BigInt, DataType.BigInt, DataType.BigInt],
    paramsValue: [address, address, 0n],
  });
  return createExternalBuffer(external, length);
}

const nodeAndFunction = [DataType.BigInt, DataType.BigInt];

/**
 * Calls code of our own (call-batch-code.ts) with the address of the memory that it works on, which begins with three words of 0. NB: ffi-rs calls only what
 * a library exports; twalk(3) calls what it is given, once for a tree of one node.
 */
export function callBack(node: bigint, code: bigint): void {
  openLibrary();
  load({
    library,
    funcName: 'twalk',
    retType: DataType.Void,
    paramsType: nodeAndFunction,
    paramsValue: [BigInt.asIntN(64, node), BigInt.asIntN(64, code)],
  });
}

function typeOf(argument: Argument): DataType {
  if ('i32' in argument) return DataType.I32;
  if ('i64' in argument) return DataType.BigInt;
  return DataType.U8Array;
}

function valueOf(argument: Argument): number | bigint | Buffer {
  if ('i32' in argument) {
    if (!Number.isInteger(argument.i32) || argument.i32 < -0x8000_0000 || argument.i32 > 0x7fff_ffff) {
      throw new StillframeError('internal', `argument ${argument.i32} is not a C int`);
    }
    return argument.i32;
  }
  if ('i64' in argument) {
    if (typeof argument.i64 !== 'bigint')
      throw new StillframeError('internal', 'a long argument must be a bigint');
    return BigInt.asIntN(64, argument.i64);
  }
  if (!Buffer.isBuffer(argument.buffer))
    throw new StillframeError('internal', 'a pointer argument must be a Buffer');
  return argument.buffer;
}
