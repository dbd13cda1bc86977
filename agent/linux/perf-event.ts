/**
 * perf events: the attribute record, and the descriptor as a Disposable. An event vanishes with its descriptor, so
 * whatever is armed through one is gone when the tracer dies. Rules: perf_event_open(2), include/uapi/linux/perf_event.h.
 */
import { closeSync, readSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { type Argument, type CallResult, syscall, systemError } from './ffi.js';

const SYS_ioctl = 16;
const SYS_fcntl = 72;
const SYS_perf_event_open = 298;
export const PERF_FLAG_FD_CLOEXEC = 8;

export const PERF_TYPE_SOFTWARE = 1;
export const PERF_TYPE_BREAKPOINT = 5;
export const PERF_COUNT_SW_CPU_CLOCK = 0;
export const HW_BREAKPOINT_W = 2;
export const HW_BREAKPOINT_X = 4;

/** Bits of the flag word of perf_event_attr. */
const flagBits = {
  disabled: 0,
  inherit: 1,
  excludeUser: 4,
  excludeKernel: 5,
  excludeHypervisor: 6,
  frequency: 10,
  /** With `inherit`: by threads, not by processes (Linux 5.13). */
  inheritThread: 35,
  /** It goes when the process runs another program (Linux 5.13). */
  removeOnExec: 36,
} as const;

/** `PERF_ATTR_SIZE_VER5`: what every kernel since 4.1 takes. */
export const perfEventAttributeBytes = 112;

export interface PerfEventAttribute {
  /** PERF_TYPE_*, or the number from /sys/bus/event_source/devices/NAME/type. */
  readonly type: number;
  readonly config: bigint;
  /** bp_addr, or uprobe_path, or config1. */
  readonly config1?: bigint;
  /** bp_len, or probe_offset, or config2. */
  readonly config2?: bigint;
  /** Events for one sample; with `frequency`, samples per second. */
  readonly samplePeriod?: bigint;
  readonly sampleType?: bigint;
  readonly wakeupEvents?: number;
  /** HW_BREAKPOINT_*. */
  readonly breakpointType?: number;
  readonly flags?: { readonly [name in keyof typeof flagBits]?: boolean };
}

/** The bytes of a `struct perf_event_attr`. */
export function encodePerfEventAttribute(attribute: PerfEventAttribute): Buffer {
  const bytes = Buffer.alloc(perfEventAttributeBytes);
  let flags = 0n;
  for (const [name, bit] of Object.entries(flagBits)) {
    if (attribute.flags?.[name as keyof typeof flagBits] === true) flags |= 1n << BigInt(bit);
  }
  bytes.writeUInt32LE(attribute.type, 0);
  bytes.writeUInt32LE(perfEventAttributeBytes, 4);
  bytes.writeBigUInt64LE(attribute.config, 8);
  bytes.writeBigUInt64LE(attribute.samplePeriod ?? 0n, 16);
  bytes.writeBigUInt64LE(attribute.sampleType ?? 0n, 24);
  bytes.writeBigUInt64LE(flags, 40);
  bytes.writeUInt32LE(attribute.wakeupEvents ?? 0, 48);
  bytes.writeUInt32LE(attribute.breakpointType ?? 0, 52);
  bytes.writeBigUInt64LE(attribute.config1 ?? 0n, 56);
  bytes.writeBigUInt64LE(attribute.config2 ?? 0n, 64);
  return bytes;
}

const PERF_EVENT_IOC_ENABLE = 0x2400n;
const PERF_EVENT_IOC_DISABLE = 0x2401n;
const PERF_EVENT_IOC_REFRESH = 0x2402n;
const PERF_EVENT_IOC_SET_BPF = 0x4004_2408n;

export interface PerfEventTarget {
  /** A thread; -1 for all (then `cpu` is one). */
  readonly pid: number;
  /** -1 for every CPU (then `pid` is a thread). */
  readonly cpu: number;
}

/** An open perf event. */
export class PerfEvent implements Disposable {
  readonly fd: number;
  #open = true;

  /** Throws as {@link openPerfEvent}'s `action` says. */
  constructor(attribute: Buffer, target: PerfEventTarget, action: string) {
    const { value, errno } = syscall(
      SYS_perf_event_open,
      { buffer: attribute },
      { i64: BigInt(target.pid) },
      { i64: BigInt(target.cpu) },
      { i64: -1n },
      { i64: BigInt(PERF_FLAG_FD_CLOEXEC) },
    );
    if (value < 0n) {
      throw systemError(action, 'perf_event_open', errno, {
        ...(target.pid > 0 ? { pid: target.pid } : {}),
        hint: 'needs CAP_PERFMON (and CAP_SYS_PTRACE for processes of other users), or kernel.perf_event_paranoid at 1 or below for your own',
      });
    }
    this.fd = Number(value);
  }

  #ioctl(request: bigint, name: string, argument: bigint): void {
    const { value, errno } = syscall(
      SYS_ioctl,
      { i64: BigInt(this.fd) },
      { i64: request },
      { i64: argument },
    );
    if (value < 0n) throw systemError(`cannot ${name} perf event`, 'ioctl', errno);
  }

  enable(): void {
    this.#ioctl(PERF_EVENT_IOC_ENABLE, 'enable', 0n);
  }

  /** Enables for `count` samples; the kernel then disables the event by itself. */
  refresh(count: number): void {
    this.#ioctl(PERF_EVENT_IOC_REFRESH, 'refresh', BigInt(count));
  }

  disable(): void {
    this.#ioctl(PERF_EVENT_IOC_DISABLE, 'disable', 0n);
  }

  /** Runs a loaded eBPF program at each event. */
  setBpf(programFd: number): void {
    this.#ioctl(PERF_EVENT_IOC_SET_BPF, 'set the program of', BigInt(programFd));
  }

  /** The event's count, as the kernel holds it. */
  count(): bigint {
    const bytes = Buffer.alloc(8);
    const length = readSync(this.fd, bytes, 0, 8, null);
    if (length !== 8) throw new StillframeError('system', `cannot read perf event: ${length} bytes`);
    return bytes.readBigUInt64LE(0);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }
}

const F_SETFL = 4;
const F_SETSIG = 10;
const F_SETOWN_EX = 15;
const F_OWNER_TID = 0;
const O_ASYNC = 0x2000;

/** Sends `signal` to thread `tid` whenever the descriptor has something to say (fcntl(2) F_SETOWN_EX, F_SETSIG, O_ASYNC). */
export function signalOnEvent(fd: number, tid: number, signal: number): void {
  const owner = Buffer.alloc(8);
  owner.writeInt32LE(F_OWNER_TID, 0);
  owner.writeInt32LE(tid, 4);
  const fcntl = (command: number, argument: Argument): CallResult =>
    syscall(SYS_fcntl, { i64: BigInt(fd) }, { i64: BigInt(command) }, argument);
  const steps = [
    fcntl(F_SETOWN_EX, { buffer: owner }),
    fcntl(F_SETSIG, { i64: BigInt(signal) }),
    fcntl(F_SETFL, { i64: BigInt(O_ASYNC) }),
  ];
  const failed = steps.find((step) => step.value < 0n);
  if (failed !== undefined)
    throw systemError('cannot direct the signal of a perf event', 'fcntl', failed.errno);
}
