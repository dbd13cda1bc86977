/** Tries one way to attach for real: on a function of the C library in this very process, which is then called. */
import { StillframeError } from '../../../format/error.js';
import type { Plan } from '../../../format/plan/plan.js';
import { compileSite, type DeliveryOptions } from '../../bpf/compile-plan.js';
import { PointState } from '../../bpf/point-state.js';
import { layoutRecord } from '../../bpf/record-layout.js';
import { RingBuffer, ringBytesFor, RingReader } from '../../bpf/ring-buffer.js';
import { call } from '../../linux/ffi.js';
import { findMapping, readMaps } from '../../linux/proc.js';
import { openMappedFile } from '../../targets/mapped-file.js';
import { isEmulatedAt } from './emulated.js';
import { attach, type Attachment, type AttachWay } from './attach.js';

/** Functions of the C library that nothing else here calls, cheap and without side effects. */
export type OwnFunction = 'ffsll' | 'argz_count';
const probedFunction: OwnFunction = 'ffsll';

/** Throws when the way does not work on this host. */
export function tryWay(way: AttachWay): void {
  const plan = ownPlan();
  const [site] = plan.sites;
  if (site === undefined) return;
  using ring = new RingBuffer(ringBytesFor(layoutRecord(plan, site).bytes, 1));
  using state = new PointState(1);
  const ringPlace = { ringFd: ring.map.fd, ringBytes: ring.place.ringBytes };
  using attachment = attachOwn(way, plan, state.fd, { ...ringPlace, maxHits: 1, minIntervalNs: 0n });
  callProbed();
  if (attachment.isPresent() && new RingReader(ring.place).drain(() => undefined) === 1) return;
  throw new StillframeError(
    'unsupported',
    `cannot attach to a function of our own: ${way.name} does not fire`,
  );
}

/** Calls the function that is probed here. */
export function callProbed(name: OwnFunction = probedFunction): void {
  call(name, { i64: 0n }, { i64: 0n });
}

/** Attaches a program that only counts to it. */
export function attachCounting(
  way: AttachWay,
  stateFd: number,
  name: OwnFunction = probedFunction,
): Attachment {
  return attachOwn(way, ownPlan(name), stateFd, undefined);
}

/** How the kernel runs the first instruction of one of them under a probe. */
export function isOwnEmulated(name: OwnFunction): boolean {
  const { path, fileOffset } = ownFunction(name);
  return isEmulatedAt(path, fileOffset);
}

function ownPlan(name: OwnFunction = probedFunction): Plan {
  const { path, fileOffset } = ownFunction(name);
  return {
    version: 1,
    module: { buildId: '', path },
    sites: [{ linkAddress: 0n, fileOffset, function: name, inlined: false, ranges: [] }],
    stackBytes: 256,
    maxBytes: 256,
    request: { location: name, captures: [] },
  };
}

function attachOwn(
  way: AttachWay,
  plan: Plan,
  stateFd: number,
  delivery: DeliveryOptions | undefined,
): Attachment {
  const { path } = plan.module;
  const fileOffset = plan.sites[0]?.fileOffset ?? 0;
  const program = compileSite(plan, {
    siteIndex: 0,
    stateFd,
    counterSlots: 1,
    delivery,
    sleepable: way.sleepable,
    ...(way.copyStringBtfId === undefined ? {} : { copyStringBtfId: way.copyStringBtfId }),
    ...(way.name === 'perf uprobe' ? { onlyPid: process.pid } : {}),
  });
  return attach(way, { program, path, place: { fileOffset }, pid: process.pid });
}

function ownFunction(symbol: OwnFunction): { path: string; fileOffset: number } {
  const name = Buffer.from(`${symbol}\0`, 'latin1');
  const address = BigInt.asUintN(64, call('dlsym', { i64: 0n }, { buffer: name }).value);
  const mapping = findMapping(readMaps(process.pid), address);
  if (mapping === undefined)
    throw new StillframeError('unsupported', 'cannot find the C library of this process');
  // Not every set of capabilities that can probe can follow /proc/self/map_files.
  using opened = openMappedFile(process.pid, mapping);
  return {
    path: opened.path,
    fileOffset: mapping.fileOffset + Number(address - mapping.start),
  };
}
