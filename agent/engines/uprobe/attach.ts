/**
 * The ways to attach a compiled site, best first: a uprobe-multi link (CAP_BPF and CAP_PERFMON, Linux 6.6), or a
 * perf uprobe (CAP_SYS_ADMIN) on older kernels. Which one works is found by trying.
 */
import { readFileSync } from 'node:fs';
import { StillframeError } from '../../../format/error.js';
import { readKernelBtf } from '../../bpf/btf.js';
import type { AssembledProgram } from '../../bpf/assembler.js';
import { loadAssembled } from '../../bpf/load.js';
import { type BpfObject, linkUprobeMulti, type ProgramRuns, programRuns } from '../../linux/bpf.js';
import { call } from '../../linux/ffi.js';
import { encodePerfEventAttribute, PerfEvent } from '../../linux/perf-event.js';

export interface AttachWay {
  readonly name: 'uprobe-multi' | 'perf uprobe';
  readonly sleepable: boolean;
  readonly copyStringBtfId: number | undefined;
}

export interface AttachRequest {
  readonly program: AssembledProgram;
  readonly path: string;
  readonly place: AttachPlace;
  /** More places on the same link; by uprobe-multi only. */
  readonly others?: readonly AttachPlace[];
  readonly pid: number;
}

export interface AttachPlace {
  readonly fileOffset: number;
  /** See `site-cookie.ts`. */
  readonly cookie?: bigint;
}

/** A program attached. Disposal detaches, and returns when it is detached. */
export interface Attachment extends Disposable {
  /** Whether the kernel still knows of it. */
  isPresent(): boolean;
  /** Of its program, while the kernel counts them. */
  runs(): ProgramRuns;
}

/** All ways, in order of preference. */
export function attachWays(): AttachWay[] {
  const copyStringBtfId = readKernelBtf()?.findFunction('bpf_copy_from_user_str');
  return [
    { name: 'uprobe-multi', sleepable: true, copyStringBtfId },
    { name: 'perf uprobe', sleepable: true, copyStringBtfId },
    { name: 'perf uprobe', sleepable: false, copyStringBtfId: undefined },
  ];
}

export function attach(way: AttachWay, request: AttachRequest): Attachment {
  const program = loadAssembled('cannot compile the point', request.program, {
    type: 'BPF_PROG_TYPE_KPROBE',
    attachType: way.name === 'uprobe-multi' ? 'BPF_TRACE_UPROBE_MULTI' : 'BPF_CGROUP_INET_INGRESS',
    name: 'stillframe',
    sleepable: way.sleepable,
  });
  try {
    return way.name === 'uprobe-multi' ? attachMulti(program, request) : attachPerf(program, request);
  } catch (error) {
    program[Symbol.dispose]();
    throw error;
  }
}

function attachMulti(program: BpfObject, request: AttachRequest): Attachment {
  const { path, place, others = [], pid } = request;
  const places = [place, ...others];
  const fileOffsets = places.map(({ fileOffset }) => fileOffset);
  const cookies = places.map(({ cookie = 0n }) => cookie);
  const link = linkUprobeMulti({ program, path, fileOffsets, cookies, pid });
  return {
    isPresent: () => link.isPresent(),
    runs: () => programRuns(program),
    [Symbol.dispose]: () => {
      link[Symbol.dispose]();
      program[Symbol.dispose]();
    },
  };
}

const uprobeTypePath = '/sys/bus/event_source/devices/uprobe/type';

function attachPerf(program: BpfObject, request: AttachRequest): Attachment {
  const type = Number(readFileSync(uprobeTypePath, 'utf8').trim());
  if (!Number.isInteger(type)) throw new StillframeError('unsupported', `cannot read "${uprobeTypePath}"`);
  const path = Buffer.from(`${request.path}\0`);
  const attribute = encodePerfEventAttribute({
    type,
    config: 0n,
    config1: BigInt.asUintN(64, call('memmove', { buffer: path }, { buffer: path }, { i64: 0n }).value),
    config2: BigInt(request.place.fileOffset),
    samplePeriod: 1n,
    wakeupEvents: 1,
    flags: { disabled: true },
  });
  const action = `cannot attach to "${request.path}" of process ${request.pid}`;
  const event = new PerfEvent(attribute, { pid: request.pid, cpu: -1 }, action);
  // The path must live until the kernel has read it.
  if (path.length === 0) throw new StillframeError('internal', 'a probe without a path');
  let open = true;
  try {
    event.setBpf(program.fd);
    event.enable();
  } catch (error) {
    event[Symbol.dispose]();
    throw error;
  }
  return {
    // A perf uprobe is its descriptor: nothing else refers to it.
    isPresent: () => open,
    runs: () => programRuns(program),
    [Symbol.dispose]: () => {
      open = false;
      event[Symbol.dispose]();
      program[Symbol.dispose]();
    },
  };
}
