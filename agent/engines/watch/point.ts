/** A watch that is armed: one program, one ring, a breakpoint for each thread. */
import { isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { Mapping, MissingRange } from '../../../format/capture.js';
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import { evaluateValue } from '../../../format/dwarf-op/evaluate.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import type { PlanSite } from '../../../format/plan/plan.js';
import type { PlanWatch } from '../../../format/plan/watch.js';
import { compileSite } from '../../bpf/compile-plan.js';
import { setupOffsets } from '../../bpf/compile-written.js';
import { loadAssembled } from '../../bpf/load.js';
import { counterSlots, PointState, stateOffsets } from '../../bpf/point-state.js';
import { readRecord } from '../../bpf/read-record.js';
import { layoutRecord, type RecordLayout } from '../../bpf/record-layout.js';
import type { PumpedRing, RecordPump } from '../../bpf/record-pump.js';
import { RingBuffer, ringBytesFor } from '../../bpf/ring-buffer.js';
import { createThreadScratch } from '../../bpf/thread-scratch.js';
import { type BpfMap, createMap } from '../../linux/bpf.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { Holder } from '../../linux/holder.js';
import { ProcessMemory } from '../../linux/memory.js';
import { PidFd } from '../../linux/pidfd.js';
import { findMapping, readMaps } from '../../linux/proc.js';
import type { ElfFactsCache } from '../../targets/elf-facts.js';
import { findPlanModule } from '../../targets/probe-file.js';
import type { ArmedPoint, ArmRequest, PointCounters, PointSink } from '../engine.js';
import { captureOfRecord } from '../uprobe/capture.js';
import { maxWatchedThreads, WriteBreakpoints } from './breakpoints.js';

export interface WatchMeans {
  readonly pump: RecordPump;
  readonly elfFacts: ElfFactsCache;
  /** Nanoseconds that a write costs its thread. */
  readonly writeNs: number;
}

export class WatchPoint implements ArmedPoint {
  readonly engine = 'watch';
  readonly warning: string;
  readonly #request: ArmRequest;
  readonly #sink: PointSink;
  readonly #means: WatchMeans;
  readonly #watch: PlanWatch;
  readonly #site: PlanSite;
  readonly #layout: RecordLayout;
  readonly #address: bigint;
  readonly #memory: ProcessMemory;
  readonly #slots = counterSlots();
  readonly #state: PointState;
  readonly #breakpoints: WriteBreakpoints;
  readonly #pumped: PumpedRing;
  readonly #held: Holder;
  #delivered = 0;
  #disarmed: Promise<void> | undefined;
  #ended = false;
  /** The counters as they were when the maps were closed. */
  #last: PointCounters | undefined;

  /** Arms. Throws, and leaves nothing behind, when the memory cannot be watched in some thread. */
  constructor(request: ArmRequest, sink: PointSink, means: WatchMeans) {
    const { plan, pid, maxHits, minIntervalNs } = request;
    const { watch, sites } = plan;
    const [site] = sites;
    if (watch === undefined || site === undefined)
      throw new StillframeError('internal', 'a plan without a watch');
    this.#request = request;
    this.#sink = sink;
    this.#means = means;
    this.#watch = watch;
    this.#site = site;
    this.#layout = layoutRecord(plan, site);
    using undo = new Holder();
    const process = undo.use(new PidFd(pid));
    const memory = undo.use(new ProcessMemory(pid));
    const { address, bias } = findWatched(request, watch, memory, means.elfFacts);
    this.#address = address;
    this.#memory = memory;
    const ring = request.countOnly
      ? undefined
      : undo.use(new RingBuffer(ringBytesFor(this.#layout.bytes, Math.min(maxHits, 16))));
    this.#state = undo.use(new PointState(this.#slots));
    const setup = undo.use(
      createMap({
        type: 'BPF_MAP_TYPE_ARRAY',
        name: 'watch_setup',
        keySize: 4,
        valueSize: 16,
        maxEntries: 1,
      }),
    );
    const own = undo.use(
      createMap({
        type: 'BPF_MAP_TYPE_HASH',
        name: 'watch_own',
        keySize: 4,
        valueSize: 1,
        maxEntries: maxWatchedThreads,
      }),
    );
    const scratch = createThreadScratch(plan);
    if (scratch !== undefined) undo.use(scratch);
    const assembled = compileSite(plan, {
      siteIndex: 0,
      stateFd: this.#state.fd,
      ...(scratch === undefined ? {} : { scratchFd: scratch.fd }),
      counterSlots: this.#slots,
      delivery:
        ring === undefined
          ? undefined
          : { ringFd: ring.map.fd, ringBytes: ring.place.ringBytes, maxHits, minIntervalNs },
      sleepable: false,
      watch: {
        address,
        bytes: watch.bytes,
        bias,
        onlyChanges: watch.onlyChanges,
        setupFd: setup.fd,
        ownFd: own.fd,
      },
    });
    const program = undo.use(
      loadAssembled('cannot compile the watch', assembled, {
        type: 'BPF_PROG_TYPE_PERF_EVENT',
        attachType: 'BPF_CGROUP_INET_INGRESS',
        name: 'stillframe',
        sleepable: false,
      }),
    );
    this.#breakpoints = undo.use(new WriteBreakpoints({ pid, address, bytes: watch.bytes, program, own }));
    this.#pumped = means.pump.add(
      ring,
      {
        records: (list) => {
          for (const bytes of list) this.#receive(bytes);
        },
        ready: () => this.#end({ kind: 'target-gone', detail: `process ${pid} is gone` }),
        failed: (error) => this.#end({ kind: 'failed', detail: error.message }),
      },
      process.fd,
    );
    this.#goLive(setup, memory);
    this.warning = `writes of ${watch.expression}, ${watch.bytes} bytes at ${hex(address)}, by ${this.#breakpoints.threads} threads and those that they make`;
    this.#held = undo.move();
  }

  /**
   * What is there before the first write: read while writes are seen already, and believed where none was. Only then hits count.
   */
  #goLive(setup: BpfMap, memory: ProcessMemory): void {
    const value = Buffer.alloc(16);
    if (this.#state.word(stateOffsets.isWatched) === 0n) {
      const read = memory.read(this.#address, this.#watch.bytes);
      if (isAbsent(read)) throw unreadable(this.#watch, read.detail);
      value.set(read.bytes, setupOffsets.initial);
    }
    value.writeBigUInt64LE(1n, setupOffsets.isLive);
    setup.update(Buffer.alloc(4), value);
  }

  get addresses(): readonly bigint[] {
    return [this.#address];
  }

  counters(): PointCounters {
    if (this.#last !== undefined) return this.#last;
    const { conditionFalse, conditionFault, wanted, dropped, rateLimited } = this.#state.counters();
    const hits = conditionFalse + conditionFault + wanted;
    return {
      hits,
      conditionFalse,
      faults: conditionFault,
      dropped,
      delivered: BigInt(this.#delivered),
      spentNs: hits * BigInt(Math.round(this.#means.writeNs)),
      ...(rateLimited === 0n ? {} : { limited: rateLimited }),
    };
  }

  look(): Pick<PointCounters, 'hits'> {
    if (this.#disarmed === undefined && !this.#ended) this.#lookAtMemory();
    return this.counters();
  }

  /** NB: the memory that was opened is that of the program that ran then, not that of one that runs in its stead. */
  #lookAtMemory(): void {
    this.#breakpoints.prune();
    if (!isAbsent(this.#memory.read(this.#address, 1))) return;
    const { pid } = this.#request;
    const detail = `the memory of ${this.#watch.expression} is there no more: process ${pid} gave it back, runs another program, or is gone`;
    this.#end({ kind: 'target-gone', detail });
  }

  disarm(): Promise<void> {
    this.#disarmed ??= this.#disarm();
    return this.#disarmed;
  }

  async #disarm(): Promise<void> {
    // An event is its descriptor, and no other refers to it.
    this.#breakpoints[Symbol.dispose]();
    await this.#pumped.remove();
    this.#last = this.counters();
    this.#held[Symbol.dispose]();
  }

  #end(reason: Parameters<PointSink['ended']>[0]): void {
    if (this.#ended || this.#disarmed !== undefined) return;
    this.#ended = true;
    this.disarm().then(
      () => this.#sink.ended(reason, this.counters()),
      (error: unknown) =>
        this.#sink.ended({ kind: 'failed', detail: toStillframeError(error).message }, this.counters()),
    );
  }

  /** A program that may not sleep cannot tell the end of a stack from a page that is not resident: the mappings can. */
  #reallyMissing(missing: readonly MissingRange[]): readonly MissingRange[] {
    const isStack = ({ path }: MissingRange): boolean => path.startsWith('stack of ');
    if (!missing.some(isStack)) return missing;
    const { pid } = this.#request;
    let mappings: readonly Mapping[];
    try {
      mappings = readMaps(pid);
    } catch (error) {
      if (toStillframeError(error).code === 'target-gone') return missing;
      throw error;
    }
    const endsThere = (address: bigint): boolean => findMapping(mappings, address - 1n)?.end === address;
    return missing.filter(
      (range) => !isStack(range) || range.address === undefined || !endsThere(range.address),
    );
  }

  #receive(bytes: Uint8Array): void {
    const record = readRecord(bytes, this.#layout);
    this.#delivered++;
    const { hits, conditionFalse, dropped, faults } = this.counters();
    const cost = {
      hits: Number(hits),
      conditionFalse: Number(conditionFalse),
      dropped: Number(dropped),
      faults: Number(faults),
      stoppedNs: 0,
    };
    const capture = captureOfRecord(record, {
      site: this.#site,
      stackBytes: this.#layout.stackBytes,
      sleepable: false,
      isTimed: false,
      timeNs: monotonicToRealtime(record.timeNs),
      cost,
    });
    const { expression, bytes: length } = this.#watch;
    const written = {
      expression,
      address: this.#address,
      bytes: length,
      before: record.before,
      after: record.after,
    };
    this.#sink.hit({ ...capture, missing: this.#reallyMissing(capture.missing), engine: 'watch', written });
    if (this.#delivered >= this.#request.maxHits)
      this.#end({ kind: 'hits', detail: `${this.#delivered} of ${this.#request.maxHits} hits delivered` });
  }
}

const unreadable = (watch: PlanWatch, why: string): StillframeError =>
  new StillframeError('not-found', `cannot watch ${watch.expression}: ${why}`);

/** Where the object lies, now and for as long as the watch is. */
function findWatched(
  { pid, plan }: ArmRequest,
  watch: PlanWatch,
  memory: ProcessMemory,
  elfFacts: ElfFactsCache,
): { readonly address: bigint; readonly bias: bigint } {
  const mappings = readMaps(pid);
  const { bias } = findPlanModule(pid, plan, mappings, elfFacts);
  const operations = decodeExpression(watch.address, { addressSize: 8, name: 'the watched address' });
  const address = evaluateValue(operations, {
    register: (number) => ({ absent: 'unsupported', detail: `register ${number} of a watch` }),
    memory,
    relocate: (link) => BigInt.asUintN(64, link + bias),
  });
  if (isAbsent(address)) throw unreadable(watch, address.detail);
  const mapping = findMapping(mappings, address);
  if (mapping === undefined) throw unreadable(watch, `process ${pid} has no memory at ${hex(address)}`);
  if (address % BigInt(watch.bytes) !== 0n) {
    throw new StillframeError(
      'unsupported',
      `cannot watch ${watch.expression}: the processor watches ${watch.bytes} bytes only at addresses that are a multiple of it, not at ${hex(address)}`,
    );
  }
  return { address, bias };
}
