/**
 * The ranges of a site in preorder, and those that repeat as loops: a call of `bpf_loop` (Linux 5.17) where the repeat stands, and behind the program a function that
 * collects one item with its children and finds the next. So a list costs the verifier one walk of the function, however long it may be.
 *
 * A function has a frame of its own, in which it finds r6 and r9 again by what the caller put into the end of its frame. Repeats in repeats do the same.
 */
import { flattenRanges, type PlanRange } from '../../format/plan/plan.js';
import { lastNoAddress, type PlanRepeat } from '../../format/plan/repeat.js';
import { StillframeError } from '../../format/error.js';
import type { Label } from './assembler.js';
import { type CollectContext, compileRange, RangeCompiler, type RangePlace } from './compile-range.js';
import { bpfHelpers } from './helper-calls.js';
import { rangeCodes, rangeStatus, repeatState, statusOffset } from './record-layout.js';

/** Offsets in the frame: free while no expression runs. */
const passed = { record: -16, context: -8 } as const;

interface Pending {
  readonly label: Label;
  readonly range: PlanRange;
  readonly repeat: PlanRepeat;
  readonly place: RangePlace;
}

/** Emits what stands in the program itself; {@link RangesCompiler.functions} comes where the program has ended. */
export class RangesCompiler {
  readonly #context: CollectContext;
  #pending: Pending[] = [];

  constructor(context: CollectContext) {
    this.#context = context;
  }

  compile(ranges: readonly PlanRange[]): void {
    this.#list(ranges, 0, undefined, false);
  }

  functions(): void {
    while (this.#pending.length > 0) {
      const pending = this.#pending;
      this.#pending = [];
      for (const each of pending) this.#item(each);
    }
  }

  /** `index` is that of the first; gives the index behind the last. */
  #list(
    ranges: readonly PlanRange[],
    index: number,
    parent: RangePlace['parent'],
    isRepeated: boolean,
  ): number {
    let at = index;
    for (const range of ranges) {
      const place = { index: at, parent, isRepeated };
      if (range.repeat === undefined) {
        compileRange(range, place, this.#context);
        at = this.#list(range.children, at + 1, { index: at, range }, isRepeated);
      } else {
        this.#loop(range, range.repeat, place);
        at += flattenRanges([range]).length;
      }
    }
    return at;
  }

  #state(index: number): number {
    const state = this.#context.layout.repeats.get(index);
    if (state === undefined)
      throw new StillframeError('internal', `range ${index} is laid out without a repeat`);
    return state;
  }

  #loop(range: PlanRange, repeat: PlanRepeat, place: RangePlace): void {
    const asm = this.#context.assembler;
    const { index } = place;
    const state = this.#state(index);
    const status = statusOffset(index);
    const inRepeat = { ...place, isRepeated: true };
    const compiler = new RangeCompiler(range, inRepeat, this.#context);
    compiler.begin();
    compiler.address();
    asm.storeMemory(8, 9, state + repeatState.next, 7).storeMemory(8, 9, state + repeatState.first, 7);
    compiler.length();
    const [some, wanted] = [asm.label('some bytes'), asm.label('some items')];
    asm.storeMemory(8, 9, state + repeatState.length, 7).jumpIfImm('sgt', 7, 0, some);
    compiler.finish('empty');
    asm.bind(some);
    if (repeat.count !== undefined) {
      compiler.expression('count', repeat.count);
      asm.storeMemory(8, 9, state + repeatState.count, 7).jumpIfImm('sgt', 7, 0, wanted);
      compiler.finish('empty');
      asm.bind(wanted);
    }
    const label = asm.label(`items of ${range.path}`);
    const done = asm.label('items done');
    asm
      .storeImm(8, 9, state + repeatState.done, 0)
      .storeMemory(8, 10, passed.context, 6)
      .storeMemory(8, 10, passed.record, 9)
      .load(1, BigInt(repeat.maxItems))
      .loadFunction(2, label)
      .mov(3, 10)
      .aluImm('add', 3, passed.record)
      .load(4, 0n)
      .call(bpfHelpers.bpf_loop)
      // The last item has made its entry.
      .storeImm(4, 9, status + rangeStatus.code, rangeCodes.empty)
      .jump(done);
    compiler.end();
    asm.bind(done);
    this.#pending.push({ label, range, repeat, place: inRepeat });
  }

  #item({ label, range, repeat, place }: Pending): void {
    const asm = this.#context.assembler.section(range.path);
    const { index } = place;
    const state = this.#state(index);
    const status = statusOffset(index);
    // r1 is the number of the item, r2 what was passed.
    asm
      .function(label)
      .loadMemory(8, 9, 2, 0)
      .loadMemory(8, 6, 2, passed.context - passed.record);
    const compiler = new RangeCompiler(range, { ...place, parent: undefined }, this.#context);
    compiler.begin();
    asm
      .loadMemory(8, 7, 9, state + repeatState.next)
      .storeMemory(8, 9, status + rangeStatus.address, 7)
      .loadMemory(8, 7, 9, state + repeatState.length)
      .storeMemory(8, 9, status + rangeStatus.detail, 7);
    compiler.copy();
    compiler.end();
    const stop = asm.label('no more items');
    asm.loadMemory(4, 1, 9, status + rangeStatus.code).jumpIfImm('gt', 1, rangeCodes.clipped, stop);
    this.#list(range.children, index + 1, { index, range }, true);
    this.#step({ range, repeat, place }, stop);
    asm.load(0, 0n).exit().bind(stop).load(0, 1n).exit();
  }

  /** To the next item, or to `stop`. */
  #step({ range, repeat, place }: Omit<Pending, 'label'>, stop: Label): void {
    const asm = this.#context.assembler.section(range.path);
    const state = this.#state(place.index);
    const status = statusOffset(place.index);
    asm
      .loadMemory(8, 1, 9, state + repeatState.done)
      .aluImm('add', 1, 1)
      .storeMemory(8, 9, state + repeatState.done, 1);
    if (repeat.count !== undefined)
      asm.loadMemory(8, 2, 9, state + repeatState.count).jumpIf('sge', 1, 2, stop);
    const compiler = new RangeCompiler(range, place, this.#context);
    const more = asm.label('an item more');
    compiler.expression('next', repeat.next);
    asm
      .jumpIfImm('sle', 7, Number(lastNoAddress), stop)
      .loadMemory(8, 1, 9, state + repeatState.first)
      .jumpIf('eq', 7, 1, stop)
      .loadMemory(8, 1, 9, status + rangeStatus.address)
      .jumpIf('eq', 7, 1, stop)
      .storeMemory(8, 9, state + repeatState.next, 7)
      .loadMemory(8, 1, 9, state + repeatState.done)
      .jumpIfImm('lt', 1, repeat.maxItems, more)
      .storeMemory(8, 9, status + rangeStatus.address, 7)
      .loadMemory(8, 7, 9, state + repeatState.length)
      .storeMemory(8, 9, status + rangeStatus.detail, 7);
    compiler.setCode('more');
    compiler.end();
    asm.jump(stop).bind(more);
  }
}
