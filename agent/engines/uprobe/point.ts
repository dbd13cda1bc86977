/** A point armed by uprobes: one program and one link for all sites that are the same, one ring and one set of counters for all. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlanTiming } from '../../../format/plan/timing.js';
import type { PointCounters, PointSink, ArmedPoint, ArmRequest } from '../engine.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { AggregateMaps } from '../../bpf/aggregate-maps.js';
import { type CompileOptions, compileSite } from '../../bpf/compile-plan.js';
import { counterSlots, PointState } from '../../bpf/point-state.js';
import { readRecord, siteOfRecord } from '../../bpf/read-record.js';
import { compileEntry, createCallTimes } from '../../bpf/timing.js';
import { isFault, layoutRecord, type RecordLayout } from '../../bpf/record-layout.js';
import { createThreadScratch } from '../../bpf/thread-scratch.js';
import type { PumpedRing, RecordPump } from '../../bpf/record-pump.js';
import { Holder } from '../../linux/holder.js';
import { RingBuffer, ringBytesFor } from '../../bpf/ring-buffer.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { PidFd } from '../../linux/pidfd.js';
import type { ElfFactsCache } from '../../targets/elf-facts.js';
import { findProbeFile, type ProbeFile } from '../../targets/probe-file.js';
import { ProgramImage, type ProgramImages } from '../../targets/program-image.js';
import { type Attachment, type AttachWay, attach } from './attach.js';
import { captureOfRecord } from './capture.js';
import { shareSites, type SharedSites } from './shared-sites.js';
import { isEmulatedAt } from './emulated.js';
import { fitSite, type FittedSite, tooLarge } from './fit.js';
import type { HitCosts } from './hit-cost.js';
import { RunTimes } from './run-times.js';

const fewHits = 1000n;
/** Records that a ring has room for, where so many are wanted. */
const few = 16;
const most = 2048;
/** More than few of them only so far. */
const maxRingBytes = 8 << 20;
/** How long who empties it may be kept from doing so. */
const longNs = 100_000_000n;
const mostHeldMs = 2000;
const heldLookMs = 2;

export interface PointMeans {
  readonly way: AttachWay;
  readonly pump: RecordPump;
  readonly elfFacts: ElfFactsCache;
  readonly costs: HitCosts;
}

/** A site as it is probed. */
type AttachedSite = Omit<FittedSite<unknown>, 'made'>;

export class UprobePoint implements ArmedPoint {
  readonly engine = 'uprobe';
  readonly #request: ArmRequest;
  readonly #sink: PointSink;
  readonly #way: AttachWay;
  readonly #costs: HitCosts;
  /** All of its instructions. */
  readonly #isEmulated: boolean;
  readonly #sites: readonly AttachedSite[];
  readonly #layouts: readonly RecordLayout[];
  readonly #file: ProbeFile;
  readonly #image: ProgramImage;
  readonly #slots = counterSlots();
  readonly #held: Holder;
  readonly #attachments: Attachment[] = [];
  readonly #state: PointState;
  readonly #aggregate: AggregateMaps | undefined;
  readonly #pumped: PumpedRing;
  #delivered = 0;
  #rangeFaults = 0;
  readonly #runTimes = new RunTimes();
  readonly #lookAtRuns = (): void => {
    if (this.#disarmed !== undefined) return;
    const runs = this.#attachments.map((attachment) => attachment.runs());
    this.#runTimes.look({
      count: runs.reduce((sum, { count }) => sum + count, 0n),
      timeNs: runs.reduce((sum, { timeNs }) => sum + timeNs, 0n),
    });
  };
  #disarmed: Promise<void> | undefined;
  #ended = false;
  /** The counters as they were when the maps were closed. */
  #last: PointCounters | undefined;

  /** Arms. Throws, and leaves nothing behind, when any site cannot be armed. */
  constructor(request: ArmRequest, sink: PointSink, means: PointMeans) {
    const { way, pump } = means;
    this.#way = way;
    this.#costs = means.costs;
    this.#request = request;
    this.#sink = sink;
    const { plan, pid } = request;
    using undo = new Holder();
    const process = undo.use(new PidFd(pid));
    this.#image = new ProgramImage(pid);
    this.#file = findProbeFile(pid, plan, means.elfFacts);
    this.#isEmulated = isEmulatedAt(this.#file.path, ...plan.sites.map(({ fileOffset }) => fileOffset));
    const { maxHits, minIntervalNs } = request;
    const largest = Math.max(0, ...plan.sites.map((site) => layoutRecord(plan, site).bytes));
    const ring = request.countOnly ? undefined : undo.use(this.#makeRing(largest));
    const delivery =
      ring === undefined
        ? undefined
        : { ringFd: ring.map.fd, ringBytes: ring.place.ringBytes, maxHits, minIntervalNs };
    this.#state = undo.use(new PointState(this.#slots));
    const { aggregate } = plan;
    this.#aggregate =
      aggregate === undefined ? undefined : undo.use(new AggregateMaps(aggregate, this.#slots));
    const { timing } = plan;
    const times = timing === undefined ? undefined : undo.use(createCallTimes());
    const scratch = createThreadScratch(plan);
    if (scratch !== undefined) undo.use(scratch);
    if (timing !== undefined && times !== undefined) this.#attachEntries(timing, times.fd, undo);
    const common = {
      stateFd: this.#state.fd,
      ...(scratch === undefined ? {} : { scratchFd: scratch.fd }),
      counterSlots: this.#slots,
      delivery,
      ...(this.#aggregate === undefined ? {} : { aggregate: this.#aggregate }),
      ...(times === undefined ? {} : { timesFd: times.fd }),
    };
    const fitted: AttachedSite[] = [];
    for (const shared of shareSites(plan.sites, way.name === 'uprobe-multi')) {
      for (const [index, site] of this.#attachSites(shared, common, undo)) fitted[index] = site;
    }
    this.#sites = fitted;
    this.#layouts = this.#sites.map(({ site }) => layoutRecord(plan, site));
    if (this.#image.isAnother()) {
      throw new StillframeError('target-gone', this.#executed, { detail: { pid } });
    }
    this.#pumped = pump.add(
      ring,
      {
        records: (list) => {
          if (this.#checkImage()) for (const bytes of list) this.#receive(bytes);
        },
        ready: () => {
          this.#end({ kind: 'target-gone', detail: `process ${pid} is gone` });
        },
        failed: (error) => {
          this.#end({ kind: 'failed', detail: error.message });
        },
      },
      process.fd,
    );
    this.#held = undo.move();
  }

  /** One program at all of them, with as many ranges as the kernel takes. */
  #attachSites(
    { indices, cookies }: SharedSites,
    common: Omit<CompileOptions, 'siteIndex' | 'sleepable'>,
    undo: Holder,
  ): readonly (readonly [number, AttachedSite])[] {
    const { plan, pid } = this.#request;
    const { sleepable, copyStringBtfId, name } = this.#way;
    const sites = indices.flatMap((index) => plan.sites[index] ?? []);
    const [first] = sites;
    const [siteIndex] = indices;
    if (first === undefined || siteIndex === undefined) return [];
    const options = {
      ...common,
      siteIndex,
      isShared: sites.length > 1,
      sleepable,
      ...(copyStringBtfId === undefined ? {} : { copyStringBtfId }),
      ...(name === 'perf uprobe' ? { onlyPid: pid } : {}),
    };
    const places = sites.map(({ fileOffset }, i) => ({ fileOffset, cookie: cookies[i] ?? 0n }));
    const [place = { fileOffset: first.fileOffset }, ...others] = places;
    const { site, made, left } = fitSite(first, (tried) => {
      const program = compileSite({ ...plan, sites: plan.sites.with(siteIndex, tried) }, options);
      return attach(this.#way, { program, path: this.#file.path, place, others, pid });
    });
    this.#attachments.push(undo.use(made));
    return sites.map((each, i) => [indices[i] ?? 0, { site: { ...each, ranges: site.ranges }, left }]);
  }

  get #executed(): string {
    return `process ${this.#request.pid} executed another program`;
  }

  /**
   * NB: probes belong to the file, and go on in a process that executes the same one again, where the plan's addresses are wrong. True when
   * what was recorded is of the program that the plan was made for.
   */
  #checkImage(images?: ProgramImages): boolean {
    if (!this.#image.isAnother(images)) return true;
    this.#end({ kind: 'target-gone', detail: this.#executed });
    return false;
  }

  /**
   * NB: attached before the returns, and detached after them: a return that finds a note of its place must be sure that it is of its own call, so no
   * call may be entered unseen while returns are looked at.
   */
  #attachEntries(timing: PlanTiming, timesFd: number, undo: Holder): void {
    const { pid } = this.#request;
    const { sleepable, name } = this.#way;
    const program = compileEntry({
      timing,
      timesFd,
      sleepable,
      ...(name === 'perf uprobe' ? { onlyPid: pid } : {}),
    });
    const { path } = this.#file;
    const [place, ...others] = timing.entries.map(({ fileOffset }) => ({ fileOffset }));
    if (place === undefined) return;
    const links =
      name === 'uprobe-multi' ? [{ place, others }] : [place, ...others].map((each) => ({ place: each }));
    for (const link of links)
      this.#attachments.push(undo.use(attach(this.#way, { program, path, ...link, pid })));
  }

  #makeRing(largest: number): RingBuffer {
    const { maxHits, minIntervalNs } = this.#request;
    const atOnce = minIntervalNs === 0n ? most : Number(longNs / minIntervalNs);
    const room = Math.floor(maxRingBytes / largest);
    // Whoever wants many wants those that come fast, too; and there is one ring for each process.
    const records = Math.min(maxHits, Math.max(few, Math.min(atOnce, room, most)));
    return new RingBuffer(ringBytesFor(largest, records));
  }

  get warning(): string | undefined {
    const cut = this.#sites.filter(({ left }) => left.length > 0);
    return cut.length === 0 ? undefined : [...new Set(cut.map(({ site }) => tooLarge(site)))].join('; ');
  }

  get addresses(): readonly bigint[] {
    return this.#file.sites.map(({ address }) => address);
  }

  counters(): PointCounters {
    if (this.#last !== undefined) return this.#last;
    const counts = this.#counts();
    const { unreadable, ...shown } = counts;
    const awaited = this.#whyNotLoaded();
    return {
      ...shown,
      ...(awaited === undefined ? {} : { awaited }),
      spentNs: this.#spentNs(counts.hits),
      ...(this.#aggregate === undefined ? {} : { aggregate: this.#aggregate.read(unreadable) }),
    };
  }

  look(images: ProgramImages): Pick<PointCounters, 'hits' | 'awaited'> {
    if (this.#disarmed === undefined && !this.#ended) this.#checkImage(images);
    const awaited = this.#whyNotLoaded();
    const { hits } = this.#last ?? this.#counts();
    return { hits, ...(awaited === undefined ? {} : { awaited }) };
  }

  /** Probes belong to the file: they are there whenever the process loads it, and again when it does so again. */
  #whyNotLoaded(): string | undefined {
    const { library } = this.#file;
    if (library === undefined || this.#disarmed !== undefined) return undefined;
    try {
      return library.whyNot();
    } catch (error) {
      // That is told when it has been seen to be gone.
      if (toStillframeError(error).code === 'target-gone') return undefined;
      throw error;
    }
  }

  /** What the maps hold, which is read for little. */
  #counts(): Omit<PointCounters, 'aggregate' | 'spentNs'> & { readonly unreadable: bigint } {
    const { conditionFalse, conditionFault, wanted, dropped, rateLimited, unreadable } =
      this.#state.counters();
    return {
      hits: conditionFalse + conditionFault + wanted,
      conditionFalse,
      faults: conditionFault + BigInt(this.#rangeFaults),
      dropped,
      delivered: BigInt(this.#delivered),
      ...(rateLimited === 0n ? {} : { limited: rateLimited }),
      unreadable,
    };
  }

  #spentNs(hits: bigint): bigint {
    // Few hits cost nothing that matters, and measuring does.
    if (hits < fewHits) return 0n;
    if (this.#disarmed === undefined) this.#costs.sample(this.#lookAtRuns);
    // Of a plan with timing, threads pass the entries as well.
    const passages = this.#request.plan.timing === undefined ? hits : 2n * hits;
    return this.#costs.spentNs(this.#way, this.#isEmulated, passages, this.#runTimes.meanNs());
  }

  disarm(): Promise<void> {
    this.#disarmed ??= this.#disarm();
    return this.#disarmed;
  }

  async #disarm(): Promise<void> {
    this.#costs.endSample();
    for (const attachment of this.#attachments.toReversed()) attachment[Symbol.dispose]();
    const areGone = await this.#areGone();
    await this.#pumped.remove();
    this.#last = this.counters();
    this.#held[Symbol.dispose]();
    if (!areGone) {
      throw new StillframeError(
        'internal',
        'the kernel still lists a probe that was removed: another process holds its link',
      );
    }
  }

  /** NB: whoever lists the links of this host (`bpftool link`) holds each for a moment, and then closing ours does not detach yet. */
  async #areGone(): Promise<boolean> {
    const until = performance.now() + mostHeldMs;
    while (this.#attachments.some((attachment) => attachment.isPresent())) {
      if (performance.now() > until) return false;
      await sleep(heldLookMs);
    }
    return true;
  }

  #end(reason: Parameters<PointSink['ended']>[0]): void {
    if (this.#ended || this.#disarmed !== undefined) return;
    this.#ended = true;
    this.disarm().then(
      () => {
        this.#sink.ended(reason, this.counters());
      },
      (error: unknown) => {
        this.#sink.ended({ kind: 'failed', detail: toStillframeError(error).message }, this.counters());
      },
    );
  }

  #receive(bytes: Uint8Array): void {
    const siteIndex = siteOfRecord(bytes);
    const { site, left = [] } = this.#sites[siteIndex] ?? {};
    const layout = this.#layouts[siteIndex];
    if (site === undefined || layout === undefined) return;
    const record = readRecord(bytes, layout);
    this.#delivered++;
    this.#rangeFaults += record.ranges.filter(({ code }) => isFault(code)).length;
    const { hits, conditionFalse, dropped, faults } = this.#last ?? this.#counts();
    this.#sink.hit(
      captureOfRecord(record, {
        site,
        left: left.map((path) => ({ path, reason: 'limit', detail: tooLarge(site) })),
        stackBytes: layout.stackBytes,
        sleepable: this.#way.sleepable,
        isTimed: this.#request.plan.timing !== undefined,
        timeNs: monotonicToRealtime(record.timeNs),
        cost: {
          hits: Number(hits),
          conditionFalse: Number(conditionFalse),
          dropped: Number(dropped),
          faults: Number(faults),
          stoppedNs: 0,
        },
      }),
    );
    if (this.#delivered >= this.#request.maxHits)
      this.#end({ kind: 'hits', detail: `${this.#delivered} of ${this.#request.maxHits} hits delivered` });
  }
}
