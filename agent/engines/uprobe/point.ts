/** A point armed by uprobes: one program and one attachment a site, one ring and one set of counters for all. */
import type { PointCounters, PointSink, ArmedPoint, ArmRequest } from '../engine.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { AggregateMaps } from '../../bpf/aggregate-maps.js';
import { compileSite } from '../../bpf/compile-plan.js';
import { counterSlots, createPointState, readCounters } from '../../bpf/point-state.js';
import { readRecord, siteOfRecord } from '../../bpf/read-record.js';
import { layoutRecord, rangeCodes, type RecordLayout } from '../../bpf/record-layout.js';
import { createThreadScratch } from '../../bpf/thread-scratch.js';
import type { PumpedRing, RecordPump } from '../../bpf/record-pump.js';
import { Holder } from '../../linux/holder.js';
import { RingBuffer, ringBytesFor } from '../../bpf/ring-buffer.js';
import type { BpfMap } from '../../linux/bpf.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { PidFd } from '../../linux/pidfd.js';
import type { ElfFactsCache } from '../../targets/elf-facts.js';
import { findProbeFile, type ProbeFile } from '../../targets/probe-file.js';
import { ProgramImage } from '../../targets/program-image.js';
import { type Attachment, type AttachWay, attach } from './attach.js';
import { captureOfRecord } from './capture.js';

export interface PointMeans {
  readonly way: AttachWay;
  readonly pump: RecordPump;
  readonly elfFacts: ElfFactsCache;
}

/** How soon it is seen that a process executes another program where nobody hits. */
const imageCheckMs = 1000;

export class UprobePoint implements ArmedPoint {
  readonly engine = 'uprobe';
  readonly #request: ArmRequest;
  readonly #sink: PointSink;
  readonly #way: AttachWay;
  readonly #layouts: readonly RecordLayout[];
  readonly #file: ProbeFile;
  readonly #image: ProgramImage;
  readonly #imageCheck: NodeJS.Timeout;
  readonly #slots = counterSlots();
  readonly #held: Holder;
  readonly #attachments: Attachment[] = [];
  readonly #state: BpfMap;
  readonly #aggregate: AggregateMaps | undefined;
  readonly #pumped: PumpedRing;
  #delivered = 0;
  #rangeFaults = 0;
  #disarmed: Promise<void> | undefined;
  #ended = false;
  /** The counters as they were when the maps were closed. */
  #last: PointCounters | undefined;

  /** Arms. Throws, and leaves nothing behind, when any site cannot be armed. */
  constructor(request: ArmRequest, sink: PointSink, means: PointMeans) {
    const { way, pump } = means;
    this.#way = way;
    this.#request = request;
    this.#sink = sink;
    const { plan, pid } = request;
    this.#layouts = plan.sites.map((site) => layoutRecord(plan, site));
    using undo = new Holder();
    const process = undo.use(new PidFd(pid));
    this.#image = new ProgramImage(pid);
    this.#file = findProbeFile(pid, plan, means.elfFacts);
    const { maxHits, minIntervalNs } = request;
    const ring = request.countOnly ? undefined : undo.use(this.#makeRing());
    const delivery =
      ring === undefined
        ? undefined
        : { ringFd: ring.map.fd, ringBytes: ring.place.ringBytes, maxHits, minIntervalNs };
    this.#state = undo.use(createPointState(this.#slots));
    const { aggregate } = plan;
    this.#aggregate =
      aggregate === undefined ? undefined : undo.use(new AggregateMaps(aggregate, this.#slots));
    const scratch = createThreadScratch(plan);
    if (scratch !== undefined) undo.use(scratch);
    plan.sites.forEach((site, siteIndex) => {
      const program = compileSite(plan, {
        siteIndex,
        stateFd: this.#state.fd,
        ...(scratch === undefined ? {} : { scratchFd: scratch.fd }),
        counterSlots: this.#slots,
        delivery,
        ...(this.#aggregate === undefined ? {} : { aggregate: this.#aggregate }),
        sleepable: way.sleepable,
        ...(way.copyStringBtfId === undefined ? {} : { copyStringBtfId: way.copyStringBtfId }),
        ...(way.name === 'perf uprobe' ? { onlyPid: pid } : {}),
      });
      const { path } = this.#file;
      this.#attachments.push(undo.use(attach(way, { program, path, fileOffset: site.fileOffset, pid })));
    });
    if (this.#image.isAnother()) {
      throw new StillframeError('target-gone', this.#executed, { detail: { pid } });
    }
    this.#pumped = pump.add(
      ring,
      {
        record: (bytes) => {
          this.#receive(bytes);
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
    this.#imageCheck = setInterval(() => this.#checkImage(), imageCheckMs);
    this.#imageCheck.unref();
  }

  get #executed(): string {
    return `process ${this.#request.pid} executed another program`;
  }

  /**
   * NB: probes belong to the file, and go on in a process that executes the same one again, where the plan's addresses are wrong. True when
   * what was recorded is of the program that the plan was made for.
   */
  #checkImage(): boolean {
    if (!this.#image.isAnother()) return true;
    this.#end({ kind: 'target-gone', detail: this.#executed });
    return false;
  }

  #makeRing(): RingBuffer {
    const largest = Math.max(0, ...this.#layouts.map((layout) => layout.bytes));
    return new RingBuffer(ringBytesFor(largest, Math.min(this.#request.maxHits, 16)));
  }

  get addresses(): readonly bigint[] {
    return this.#file.sites.map(({ address }) => address);
  }

  counters(): PointCounters {
    if (this.#last !== undefined) return this.#last;
    const { conditionFalse, conditionFault, wanted, dropped, rateLimited, unreadable } = readCounters(
      this.#state,
      this.#slots,
    );
    return {
      hits: conditionFalse + conditionFault + wanted,
      conditionFalse,
      faults: conditionFault + BigInt(this.#rangeFaults),
      dropped,
      delivered: BigInt(this.#delivered),
      ...(rateLimited === 0n ? {} : { limited: rateLimited }),
      ...(this.#aggregate === undefined ? {} : { aggregate: this.#aggregate.read(unreadable) }),
    };
  }

  disarm(): Promise<void> {
    this.#disarmed ??= this.#disarm();
    return this.#disarmed;
  }

  async #disarm(): Promise<void> {
    clearInterval(this.#imageCheck);
    for (const attachment of this.#attachments) attachment[Symbol.dispose]();
    await this.#pumped.remove();
    this.#last = this.counters();
    this.#held[Symbol.dispose]();
    if (this.#attachments.some((attachment) => attachment.isPresent())) {
      throw new StillframeError('internal', 'the kernel still lists a probe that was removed');
    }
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
    const site = this.#request.plan.sites[siteIndex];
    const layout = this.#layouts[siteIndex];
    if (site === undefined || layout === undefined || !this.#checkImage()) return;
    const record = readRecord(bytes, layout);
    this.#delivered++;
    this.#rangeFaults += record.ranges.filter(
      ({ code }) => rangeCodes[code] >= rangeCodes.unreadable && code !== 'no-room',
    ).length;
    const { hits, conditionFalse, dropped, faults } = this.counters();
    this.#sink.hit(
      captureOfRecord(record, {
        site,
        stackBytes: layout.stackBytes,
        sleepable: this.#way.sleepable,
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
