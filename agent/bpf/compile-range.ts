/**
 * The collecting half of a site's program: the stack window and the ranges, copied into the record. Registers: r6 the context, r9
 * the record; r7 and r8 as each part says. Every range leaves its status in the record, whatever happens.
 */
import type { PlanRange } from '../../format/plan/plan.js';
import { userRegisterOffset } from '../../format/registers/x86-64.js';
import type { Assembler, Label } from './assembler.js';
import { compileExpression } from './compile-expression.js';
import { heldRead, type ParentRange } from './compile-held.js';
import { compileWindow } from './compile-window.js';
import { maxFrameBytes } from './frame.js';
import { bpfHelpers } from './helper-calls.js';
import { lengthBeginsWithAddress } from './leading-read.js';
import {
  fullOffset,
  placeOffset,
  rangeCodes,
  type RangeCode,
  rangeStatus,
  recordHead,
  type RecordLayout,
  repeatEntry,
  statusOffset,
  wholeWords,
} from './record-layout.js';
import type { SiteAddress } from './site-cookie.js';
import { emitRecordRead, emitUserRead } from './user-read.js';

/** Leaf functions keep variables below their stack pointer (psABI 3.2.2). */
const redZoneBytes = 128;

export interface CollectContext {
  readonly assembler: Assembler;
  readonly layout: RecordLayout;
  readonly linkAddress: SiteAddress;
  readonly bias?: bigint | undefined;
  readonly sleepable: boolean;
  readonly copyStringBtfId?: number;
}

/** The window of raw stack, from `rsp - 128` upwards. */
export function compileStack(context: CollectContext): void {
  const asm = context.assembler.section('stack');
  asm
    .loadMemory(8, 7, 6, userRegisterOffset('rsp'))
    .aluImm('sub', 7, redZoneBytes)
    .storeMemory(8, 9, recordHead.stackAddress, 7);
  compileWindow(asm, {
    address: 7,
    dataOffset: context.layout.stackOffset,
    lengthOffset: recordHead.stackLength,
    bytes: context.layout.stackBytes,
    read: () => {
      emitUserRead(asm, context.sleepable);
    },
    // Even where reads may sleep; see {@link emitRecordRead}.
    readWhole: () => {
      asm.call(bpfHelpers.bpf_probe_read_user);
    },
  });
}

/** Where a range is among those of its site. */
export interface RangePlace {
  readonly index: number;
  readonly parent: ParentRange | undefined;
  /** Whether what becomes of it is an entry. */
  readonly isRepeated: boolean;
}

/** One range: its address, its length, its bytes; children look up its status. */
export function compileRange(range: PlanRange, place: RangePlace, context: CollectContext): void {
  const compiler = new RangeCompiler(range, place, context);
  compiler.begin();
  compiler.address();
  compiler.length();
  compiler.copy();
  compiler.end();
}

type Expression = 'address' | 'length' | 'count' | 'next';

const codeOfFault: Readonly<Record<Expression, readonly [RangeCode, RangeCode]>> = {
  address: ['address-unreadable', 'address-division'],
  length: ['length-unreadable', 'length-division'],
  count: ['count-unreadable', 'count-division'],
  next: ['next-unreadable', 'next-division'],
};

/** The parts that the code of a range consists of, each leading on to the next or to the end. */
export class RangeCompiler {
  readonly #range: PlanRange;
  readonly #place: RangePlace;
  readonly #context: CollectContext;
  readonly #asm: Assembler;
  readonly #status: number;
  readonly #end: Label;

  constructor(range: PlanRange, place: RangePlace, context: CollectContext) {
    this.#range = range;
    this.#place = place;
    this.#context = context;
    this.#asm = context.assembler.section(range.path);
    this.#status = statusOffset(place.index);
    this.#end = this.#asm.label('range done');
  }

  /** Whether anything is to be done at all. */
  begin(): void {
    const asm = this.#asm;
    const { parent, isRepeated } = this.#place;
    asm
      .storeImm(8, 9, this.#status + rangeStatus.address, 0)
      .storeImm(8, 9, this.#status + rangeStatus.detail, 0)
      .storeImm(4, 9, this.#status + rangeStatus.length, 0);
    if (parent !== undefined) {
      const collected = asm.label('parent collected');
      asm
        .loadMemory(4, 1, 9, statusOffset(parent.index) + rangeStatus.code)
        .jumpIfImm('le', 1, rangeCodes.clipped, collected);
      this.finish('parent-missing');
      asm.bind(collected);
    }
    if (isRepeated) this.#needEntry();
  }

  /** Nothing of a repeat comes where there is no room to say so. */
  #needEntry(): void {
    const asm = this.#asm;
    const hasRoom = asm.label('room for an entry');
    asm
      .loadMemory(4, 1, 9, recordHead.entryCount)
      .jumpIfImm('lt', 1, this.#context.layout.maxEntries, hasRoom);
    this.#noteFull();
    this.finish('empty');
    asm.bind(hasRoom);
  }

  #noteFull(): void {
    const noted = this.#asm.label('noted');
    this.#asm
      .loadMemory(4, 1, 9, fullOffset)
      .jumpIfImm('ne', 1, 0, noted)
      .storeImm(4, 9, fullOffset, this.#place.index + 1)
      .bind(noted);
  }

  address(): void {
    this.expression('address', this.#range.address);
    this.#asm.storeMemory(8, 9, this.#status + rangeStatus.address, 7);
  }

  /** The length that is wanted, in r7, too. */
  length(): void {
    this.expression('length', this.#range.length);
    this.#asm.storeMemory(8, 9, this.#status + rangeStatus.detail, 7);
  }

  /** r7 bytes, as far as they may be. */
  copy(): void {
    this.#clip();
    if (this.#range.untilNul) this.#copyString();
    else if (this.#most <= maxFrameBytes) this.#copyStaged();
    else this.#copyBytes();
  }

  /** Where all ways lead. */
  end(): void {
    this.#asm.bind(this.#end);
    if (this.#place.isRepeated) this.append();
  }

  /** Makes an entry of the status, where it says anything. */
  append(): void {
    const asm = this.#asm;
    const { maxEntries, entriesOffset } = this.#context.layout;
    const [done, full] = [asm.label('entry made'), asm.label('no room for an entry')];
    asm
      .loadMemory(4, 2, 9, this.#status + rangeStatus.code)
      .jumpIfImm('eq', 2, rangeCodes.empty, done)
      .jumpIfImm('eq', 2, rangeCodes['parent-missing'], done)
      .loadMemory(4, 1, 9, recordHead.entryCount)
      .jumpIfImm('ge', 1, maxEntries, full)
      .mov(2, 1)
      .aluImm('add', 2, 1)
      .storeMemory(4, 9, recordHead.entryCount, 2)
      .aluImm('mul', 1, repeatEntry.bytes)
      .alu('add', 1, 9)
      .aluImm('add', 1, entriesOffset);
    for (let at = 0; at < rangeStatus.bytes; at += 8)
      asm.loadMemory(8, 2, 9, this.#status + at).storeMemory(8, 1, at, 2);
    asm.storeImm(8, 1, repeatEntry.index, this.#place.index).jump(done).bind(full);
    this.#noteFull();
    asm.bind(done);
  }

  setCode(code: RangeCode): void {
    this.#asm.storeImm(4, 9, this.#status + rangeStatus.code, rangeCodes[code]);
  }

  /** Goes to the end. */
  finish(code: RangeCode): void {
    this.setCode(code);
    this.#asm.jump(this.#end);
  }

  /** Leaves the value in r7, or goes to the end. `next` is over the range itself. */
  expression(what: Expression, bytes: Uint8Array): void {
    const asm = this.#asm;
    const { index, parent } = this.#place;
    const object = what === 'next' ? { index, range: this.#range } : parent;
    const readFault = asm.label(`${what} unreadable`);
    const divisionFault = asm.label(`${what} divided by zero`);
    compileExpression(bytes, {
      assembler: asm,
      name: `the ${what} of "${this.#range.path}"`,
      linkAddress: this.#context.linkAddress,
      bias: this.#context.bias,
      sleepable: this.#context.sleepable,
      readFault,
      divisionFault,
      held: (read) => heldRead(read, object, this.#context),
      spillOffset: this.#context.layout.spillOffset,
      ...(what === 'length' && lengthBeginsWithAddress(this.#range)
        ? { known: { bytes: this.#range.address, valueOffset: this.#status + rangeStatus.address } }
        : {}),
      ...(object === undefined
        ? {}
        : { objectAddressOffset: statusOffset(object.index) + rangeStatus.address }),
    });
    if (readFault.jumps + divisionFault.jumps === 0) return;
    const [unreadable, division] = codeOfFault[what];
    const ok = asm.label(`${what} known`);
    asm.jump(ok);
    if (readFault.jumps > 0) {
      asm.bind(readFault).storeMemory(8, 9, this.#status + rangeStatus.detail, 7);
      this.finish(unreadable);
    }
    if (divisionFault.jumps > 0) {
      asm.bind(divisionFault);
      this.finish(division);
    }
    asm.bind(ok);
  }

  /** Bytes that this range can bring. */
  get #most(): number {
    return Math.min(this.#range.maxBytes, this.#context.layout.dataBytes);
  }

  /** r7, the length, becomes what may be copied; r1 is then where to, r3 where from. */
  #clip(): void {
    const { dataBytes, dataOffset } = this.#context.layout;
    const most = this.#most;
    const asm = this.#asm;
    const [positive, room, within, fits] = ['positive', 'room', 'within', 'fits'].map((name) =>
      asm.label(name),
    ) as [Label, Label, Label, Label];
    asm.jumpIfImm('sgt', 7, 0, positive);
    this.finish('empty');
    asm.bind(positive).loadMemory(4, 1, 9, recordHead.dataLength).jumpIfImm('lt', 1, dataBytes, room);
    this.finish('no-room');
    asm.bind(room);
    this.setCode('collected');
    asm.load(2, BigInt(dataBytes)).alu('sub', 2, 1).jumpIfImm('sle', 7, this.#range.maxBytes, within);
    this.setCode('clipped');
    asm.load(7, BigInt(this.#range.maxBytes)).bind(within).jumpIf('le', 7, 2, fits);
    this.setCode('clipped');
    asm
      .mov(7, 2)
      .bind(fits)
      // Never true; older verifiers do not see it from the comparison of two registers.
      .jumpIfImm('gt', 7, most, this.#end)
      .storeMemory(4, 9, this.#status + rangeStatus.length, 7)
      .alu('add', 1, 9)
      .aluImm('add', 1, dataOffset)
      .loadMemory(8, 3, 9, this.#status + rangeStatus.address);
  }

  #copyBytes(): void {
    const asm = this.#asm;
    const ok = asm.label('copied');
    asm.mov(2, 7).mov(8, 1);
    emitRecordRead(asm, this.#context.sleepable, () => {
      asm
        .mov(1, 8)
        .mov(2, 7)
        .loadMemory(8, 3, 9, this.#status + rangeStatus.address);
    });
    asm.jumpIfImm('eq', 0, 0, ok);
    this.finish('unreadable');
    asm.bind(ok);
    this.#use();
  }

  /**
   * A small range, by way of the eBPF stack, where no expression runs now: a thread's own stack is a destination that the kernel
   * knows at once. What is moved beyond the range's length the next range overwrites.
   */
  #copyStaged(): void {
    const asm = this.#asm;
    const ok = asm.label('copied');
    const bytes = wholeWords(this.#most);
    asm.mov(8, 1).mov(1, 10).aluImm('add', 1, -bytes).mov(2, 7);
    // Older verifiers want it initialised, for the length is not known to them.
    for (let at = 0; at < bytes; at += 8) asm.storeImm(8, 10, at - bytes, 0);
    emitUserRead(asm, this.#context.sleepable);
    asm.jumpIfImm('eq', 0, 0, ok);
    this.finish('unreadable');
    asm.bind(ok);
    for (let at = 0; at < bytes; at += 8) asm.loadMemory(8, 1, 10, at - bytes).storeMemory(8, 8, at, 1);
    this.#use();
  }

  /** Asks for one byte more than wanted, which is where the kernel puts its NUL when the string has none. */
  #copyString(): void {
    const asm = this.#asm;
    const ok = asm.label('copied');
    const whole = asm.label('whole string');
    asm.mov(2, 7).aluImm('add', 2, 1);
    const { copyStringBtfId } = this.#context;
    if (copyStringBtfId === undefined) asm.call(bpfHelpers.bpf_probe_read_user_str);
    else asm.load(4, 0n).callKernelFunction(copyStringBtfId);
    // An int: only the lower half counts.
    asm.aluImm('lsh', 0, 32).aluImm('arsh', 0, 32).jumpIfImm('sgt', 0, 0, ok);
    this.finish('unreadable');
    asm.bind(ok);
    // With its NUL the string is whole, however much was asked for; without it, it is cut.
    this.setCode('collected');
    asm.jumpIf('sle', 0, 7, whole);
    this.setCode('clipped');
    asm
      .mov(0, 7)
      .bind(whole)
      .mov(7, 0)
      .storeMemory(4, 9, this.#status + rangeStatus.length, 7);
    this.#use();
  }

  #use(): void {
    const asm = this.#asm.loadMemory(4, 1, 9, recordHead.dataLength);
    if (this.#range.children.length > 0 || this.#range.repeat !== undefined)
      asm.storeMemory(4, 9, placeOffset(this.#context.layout.rangeCount, this.#place.index), 1);
    asm.alu('add', 1, 7).storeMemory(4, 9, recordHead.dataLength, 1);
  }
}
