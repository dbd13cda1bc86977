/**
 * A site of a plan to an eBPF program that runs at each hit, in the hitting thread: the condition first and nothing before it, then the budget, then one
 * record of constant size through the ring buffer. Pure: numbers of maps in, instructions out; loading is elsewhere.
 *
 * Every jump is local to one range, so that plans of a thousand ranges fit the 16 bits of a jump: a range looks up in the record
 * what became of its parent, instead of being jumped over.
 */
import { StillframeError } from '../../format/error.js';
import { hasDecisions, type Plan } from '../../format/plan/plan.js';
import { ptRegsBytes } from '../../format/registers/x86-64.js';
import { type AssembledProgram, Assembler } from './assembler.js';
import type { AggregateMaps } from './aggregate-maps.js';
import { compileAggregate } from './compile-aggregate.js';
import { compileExpression } from './compile-expression.js';
import { compileSharedReads } from './compile-held.js';
import { type CollectContext, compileStack } from './compile-range.js';
import { RangesCompiler } from './compile-repeat.js';
import { bpfHelpers } from './helper-calls.js';
import { type CounterName, counterNames, slotBytes, stateOffsets, wakeWindowNs } from './point-state.js';
import { compileWritten, storeWritten, type WatchOptions } from './compile-written.js';
import { fullOffset, layoutRecord, recordHead, type RecordLayout } from './record-layout.js';
import { loadSiteIndex, type SiteAddress } from './site-cookie.js';
import { emitDuration } from './timing.js';
import {
  aggregateNeedsScratch,
  hasDeepCondition,
  returnScratch,
  scratchSpillOffset,
  takeScratch,
} from './thread-scratch.js';

const BPF_RB_AVAIL_DATA = 0n;
const BPF_RB_NO_WAKEUP = 1n;
const BPF_RB_FORCE_WAKEUP = 2n;

export interface CompileOptions {
  readonly siteIndex: number;
  /** File descriptor of the point's counters. */
  readonly stateFd: number;
  /** Of a map by {@link createThreadScratch}, where a condition needs it. */
  readonly scratchFd?: number;
  /** A power of two. */
  readonly counterSlots: number;
  /** Undefined: hits are counted, or added up, and the program ends there. */
  readonly delivery: DeliveryOptions | undefined;
  /** Where hits of a plan with an aggregate are added up. */
  readonly aggregate?: AggregateMaps;
  /** Of a plan with timing: the map of the calls that go on. */
  readonly timesFd?: number;
  /** Sleepable programs read pages that are not resident. */
  readonly sleepable: boolean;
  /** BTF id of `bpf_copy_from_user_str`, where the kernel has it and the program is sleepable. */
  readonly copyStringBtfId?: number;
  /** Of a plan with a watch. */
  readonly watch?: WatchOptions;
  /** It serves several sites, which are the same but for their places: the cookie says which one it is at. */
  readonly isShared?: boolean;
  /** Count only hits of this process; where the attachment itself does not filter. */
  readonly onlyPid?: number;
}

export interface DeliveryOptions {
  readonly ringFd: number;
  readonly ringBytes: number;
  readonly maxHits: number;
  readonly minIntervalNs: bigint;
}

export function compileSite(plan: Plan, options: CompileOptions): AssembledProgram {
  return new SiteCompiler(plan, options).compile();
}

class SiteCompiler {
  readonly #asm = new Assembler();
  readonly #options: CompileOptions;
  readonly #plan: Plan;
  readonly #site: Plan['sites'][number];
  readonly #layout: RecordLayout;
  /** What comes behind the program. */
  #functions: RangesCompiler | undefined;

  constructor(plan: Plan, options: CompileOptions) {
    this.#plan = plan;
    const site = plan.sites[options.siteIndex];
    if (site === undefined)
      throw new StillframeError('internal', `the plan has no site ${options.siteIndex}`);
    this.#options = options;
    this.#site = site;
    this.#layout = layoutRecord(plan, site);
    if (this.#layout.stackOffset > 0x7fff) {
      throw new StillframeError(
        'limit',
        `${this.#layout.rangeCount} ranges at one site are too many for what the uprobe engine keeps of them`,
        { hint: 'capture fewer things, or follow pointers less deep' },
      );
    }
  }

  get #linkAddress(): SiteAddress {
    return this.#options.isShared === true ? 'cookie' : this.#site.linkAddress;
  }

  compile(): AssembledProgram {
    const asm = this.#asm.section('start').mov(6, 1);
    if (this.#options.onlyPid !== undefined) this.#filterPid(this.#options.onlyPid);
    this.#timeCall();
    this.#written();
    this.#condition();
    asm.section('budget');
    this.#count('wanted');
    const { delivery } = this.#options;
    if (delivery !== undefined) this.#deliver(delivery);
    if (this.#options.aggregate === undefined) this.#leave();
    else this.#addUp(this.#options.aggregate);
    this.#functions?.functions();
    return asm.assemble();
  }

  #written(): void {
    const { watch, stateFd } = this.#options;
    if (watch === undefined) return;
    compileWritten(this.#asm, watch, {
      stateFd,
      count: (name) => this.#count(name),
      leave: () => this.#leave(),
    });
  }

  /** r8 becomes the time since the function was entered, until it is stored in the record. */
  #timeCall(): void {
    const { timesFd, sleepable } = this.#options;
    const { timing } = this.#plan;
    if (timing === undefined) return;
    if (timesFd === undefined) throw new StillframeError('internal', 'a plan with timing and no map for it');
    emitDuration(this.#asm, { timing, timesFd, sleepable });
  }

  #addUp(maps: AggregateMaps): void {
    const asm = this.#asm.section('what is added up');
    const { scratchFd, stateFd, counterSlots, sleepable, copyStringBtfId } = this.#options;
    const unreadable = asm.label('unreadable');
    const noScratch = asm.label('no scratch');
    const needsScratch = aggregateNeedsScratch(this.#plan, this.#site) && scratchFd !== undefined;
    if (needsScratch) takeScratch(asm, { scratchFd, stateFd, none: noScratch });
    compileAggregate(this.#site, {
      assembler: asm,
      maps,
      counterSlots,
      sleepable,
      unreadable,
      hasScratch: needsScratch,
      isTimed: this.#plan.timing !== undefined,
      linkAddress: this.#linkAddress,
      ...(copyStringBtfId === undefined ? {} : { copyStringBtfId }),
    });
    if (needsScratch) returnScratch(asm, scratchFd);
    this.#leave();
    if (unreadable.jumps > 0) {
      asm.bind(unreadable);
      if (needsScratch) returnScratch(asm, scratchFd);
    }
    if (noScratch.jumps > 0) asm.bind(noScratch);
    if (unreadable.jumps + noScratch.jumps > 0) this.#count('unreadable');
    else return;
    this.#leave();
  }

  #deliver(delivery: DeliveryOptions): void {
    const asm = this.#asm;
    this.#interval(delivery);
    this.#stopWhenEnough(delivery);
    this.#reserve(delivery);
    this.#take(delivery);
    asm.section('registers');
    this.#header();
    const collect: CollectContext = {
      assembler: asm,
      layout: this.#layout,
      linkAddress: this.#linkAddress,
      bias: this.#options.watch?.bias,
      sleepable: this.#options.sleepable,
      ...(this.#options.copyStringBtfId === undefined
        ? {}
        : { copyStringBtfId: this.#options.copyStringBtfId }),
    };
    if (this.#layout.stackBytes > 0) compileStack(collect);
    compileSharedReads(collect);
    const ranges = new RangesCompiler(collect);
    ranges.compile(this.#site.ranges);
    asm.section('submit');
    this.#submit(delivery);
    this.#functions = ranges;
  }

  /** Returns 0: for a perf uprobe, "no sample". */
  #leave(): void {
    this.#asm.load(0, 0n).exit();
  }

  #filterPid(pid: number): void {
    const ours = this.#asm.label('our process');
    this.#asm.call(bpfHelpers.bpf_get_current_pid_tgid).aluImm('rsh', 0, 32).jumpIfImm('eq', 0, pid, ours);
    this.#leave();
    this.#asm.bind(ours);
  }

  /** Adds one to a counter, in the slot of this CPU. */
  #count(name: CounterName): void {
    const { stateFd, counterSlots } = this.#options;
    const asm = this.#asm;
    const offset = counterNames.indexOf(name) * 8;
    asm
      .call(bpfHelpers.bpf_get_smp_processor_id)
      .aluImm('and', 0, counterSlots - 1)
      .aluImm('mul', 0, slotBytes)
      .loadMapValue(1, stateFd, stateOffsets.slots)
      .alu('add', 1, 0)
      .load(2, 1n)
      .atomic('add', 8, 1, offset, 2);
  }

  #condition(): void {
    const { condition } = this.#site;
    if (condition === undefined) return;
    const asm = this.#asm.section('condition');
    const fault = asm.label('condition fault');
    const noScratch = asm.label('no scratch');
    const hit = asm.label('hit');
    const { scratchFd, stateFd } = this.#options;
    const isDeep = hasDeepCondition(this.#site) && scratchFd !== undefined;
    if (isDeep) takeScratch(asm, { scratchFd, stateFd, none: noScratch });
    compileExpression(condition, {
      assembler: asm,
      name: 'the condition',
      linkAddress: this.#linkAddress,
      bias: this.#options.watch?.bias,
      sleepable: this.#options.sleepable,
      readFault: fault,
      divisionFault: fault,
      ...(isDeep ? { spillOffset: scratchSpillOffset } : {}),
      ...(this.#plan.timing === undefined ? {} : { duration: { register: 8 } }),
    });
    if (isDeep) returnScratch(asm, scratchFd);
    asm.jumpIfImm('ne', 7, 0, hit);
    this.#count('conditionFalse');
    this.#leave();
    if (fault.jumps > 0) {
      asm.bind(fault);
      if (isDeep) returnScratch(asm, scratchFd);
      this.#count('conditionFault');
      this.#leave();
    }
    if (noScratch.jumps > 0) {
      asm.bind(noScratch);
      this.#count('conditionFault');
      this.#leave();
    }
    asm.bind(hit);
  }

  /** At most one hit in `minIntervalNs`, whichever thread comes first. */
  #interval({ minIntervalNs }: DeliveryOptions): void {
    const { stateFd } = this.#options;
    if (minIntervalNs <= 0n) return;
    const asm = this.#asm;
    const go = asm.label('interval over');
    const limited = asm.label('too soon');
    const first = asm.label('first');
    asm
      .call(bpfHelpers.bpf_ktime_get_ns)
      .mov(7, 0)
      .loadMapValue(3, stateFd, 0)
      .loadMemory(8, 0, 3, stateOffsets.lastTime)
      .jumpIfImm('eq', 0, 0, first)
      .mov(1, 7)
      .alu('sub', 1, 0)
      .load(2, minIntervalNs);
    if (hasDecisions(this.#plan)) this.#spread(minIntervalNs);
    asm
      .jumpIf('slt', 1, 2, limited)
      .bind(first)
      .mov(1, 0)
      .atomic('cmpxchg', 8, 3, stateOffsets.lastTime, 7)
      .jumpIf('eq', 0, 1, go)
      .bind(limited);
    this.#count('rateLimited');
    this.#leave();
    asm.bind(go);
  }

  /**
   * Of candidates the interval in register 2 becomes up to twice as long, by chance (bits of the time in register 7): what comes at a steady pace would
   * else always show the same of its phases.
   */
  #spread(minIntervalNs: bigint): void {
    // Fibonacci hashing; 30 bits of it, times the interval, as a part of 2^30.
    this.#asm
      .load(4, 0x9e37_79b9_7f4a_7c15n)
      .alu('mul', 4, 7)
      .aluImm('rsh', 4, 34)
      .load(5, minIntervalNs)
      .alu('mul', 4, 5)
      .aluImm('rsh', 4, 30)
      .alu('add', 2, 4);
  }

  /** Leaves where `maxHits` are taken already, so that what comes then costs the ring nothing. */
  #stopWhenEnough({ maxHits }: DeliveryOptions): void {
    const go = this.#asm.label('within budget');
    this.#asm
      .loadMapValue(3, this.#options.stateFd, 0)
      .loadMemory(8, 1, 3, stateOffsets.taken)
      .jumpIfImm('lt', 1, maxHits, go);
    this.#leave();
    this.#asm.bind(go);
  }

  #reserve({ ringFd }: DeliveryOptions): void {
    const asm = this.#asm;
    const go = asm.label('reserved');
    asm
      .loadMap(1, ringFd)
      .load(2, BigInt(this.#layout.bytes))
      .load(3, 0n)
      .call(bpfHelpers.bpf_ringbuf_reserve)
      .jumpIfImm('ne', 0, 0, go);
    this.#count('dropped');
    this.#leave();
    asm.bind(go).mov(9, 0);
  }

  /**
   * Takes one of `maxHits`. NB: only with room for the record: a share that had to be given back would make others leave in the meantime,
   * neither delivered nor counted as dropped.
   */
  #take({ maxHits }: DeliveryOptions): void {
    const asm = this.#asm;
    const go = asm.label('taken');
    asm
      .loadMapValue(3, this.#options.stateFd, 0)
      .load(1, 1n)
      .atomic('fetchAdd', 8, 3, stateOffsets.taken, 1)
      .jumpIfImm('lt', 1, maxHits, go)
      .mov(1, 9)
      .load(2, BPF_RB_NO_WAKEUP)
      .call(bpfHelpers.bpf_ringbuf_discard);
    this.#leave();
    asm.bind(go);
  }

  #header(): void {
    const asm = this.#asm;
    asm.call(bpfHelpers.bpf_ktime_get_ns).storeMemory(8, 9, recordHead.time, 0);
    asm.call(bpfHelpers.bpf_get_current_pid_tgid).storeMemory(8, 9, recordHead.pidTgid, 0);
    asm.mov(1, 9).aluImm('add', 1, recordHead.comm).load(2, 16n).call(bpfHelpers.bpf_get_current_comm);
    if (this.#options.isShared === true) {
      loadSiteIndex(asm);
      asm.storeMemory(4, 9, recordHead.site, 0);
    } else asm.storeImm(4, 9, recordHead.site, this.#options.siteIndex);
    asm
      .storeImm(4, 9, recordHead.stackLength, 0)
      .storeImm(8, 9, recordHead.stackAddress, 0)
      // And the number of entries behind it.
      .storeImm(8, 9, recordHead.dataLength, 0)
      .storeImm(8, 9, fullOffset, 0);
    if (this.#plan.timing !== undefined) asm.storeMemory(8, 9, recordHead.duration, 8);
    if (this.#options.watch !== undefined) storeWritten(asm);
    for (let offset = 0; offset < ptRegsBytes; offset += 8)
      asm.loadMemory(8, 1, 6, offset).storeMemory(8, 9, recordHead.registers + offset, 1);
  }

  /** Submits, and wakes the consumer only where {@link wakeWindowNs} says so. */
  #submit({ ringFd, ringBytes }: DeliveryOptions): void {
    const { stateFd } = this.#options;
    const asm = this.#asm;
    const wake = asm.label('wake');
    const submit = asm.label('submit');
    asm
      .loadMapValue(1, stateFd, 0)
      .loadMemory(8, 7, 9, recordHead.time)
      .loadMemory(8, 2, 1, stateOffsets.lastRecord)
      .storeMemory(8, 1, stateOffsets.lastRecord, 7)
      .alu('sub', 7, 2)
      .loadMap(1, ringFd)
      .load(2, BPF_RB_AVAIL_DATA)
      .call(bpfHelpers.bpf_ringbuf_query)
      .jumpIfImm('gt', 0, ringBytes / 2, wake)
      .load(2, BPF_RB_NO_WAKEUP)
      // Signed: of two threads that hit at once, the later may be here first.
      .jumpIfImm('slt', 7, wakeWindowNs, submit)
      .bind(wake)
      .load(2, BPF_RB_FORCE_WAKEUP)
      .bind(submit)
      .mov(1, 9)
      .call(bpfHelpers.bpf_ringbuf_submit);
  }
}
