/**
 * Reads that the record itself can answer, for a read of the process costs a call of the kernel and a look into another address space's page: what
 * several expressions begin with is read once, and a pointer within a collected parent is taken from the parent's bytes. The
 * latter also makes a pointer that is followed the very one that is shown.
 *
 * Where the record does not hold it (a stretch crosses into an unreadable page, a parent was cut) the expression reads by itself.
 */
import { ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../format/plan/plan.js';
import { compileExpression, type HeldRead } from './compile-expression.js';
import type { CollectContext } from './compile-range.js';
import type { LeadingRead, SharedRead } from './leading-read.js';
import { placeOffset, rangeStatus, statusOffset } from './record-layout.js';
import { emitRecordRead } from './user-read.js';

/** The range whose bytes a range's expressions may refer to. */
export interface ParentRange {
  readonly index: number;
  readonly range: PlanRange;
}

/** Emits the reads that are shared, each with whether it could be made. */
export function compileSharedReads(context: CollectContext): void {
  const { assembler: asm, linkAddress, bias, sleepable } = context;
  for (const read of context.layout.sharedReads) {
    asm.section('what several expressions read');
    const missing = asm.label('not readable');
    asm.storeImm(8, 9, read.knownOffset, 0);
    compileExpression(addressOf(read), {
      assembler: asm,
      name: 'the address of what several expressions read',
      linkAddress,
      bias,
      sleepable,
      readFault: missing,
      divisionFault: missing,
    });
    const prepare = (): void => {
      asm.mov(1, 9).aluImm('add', 1, read.bytesOffset).load(2, BigInt(read.bytes)).mov(3, 7);
    };
    prepare();
    emitRecordRead(asm, sleepable, prepare);
    asm.jumpIfImm('ne', 0, 0, missing).storeImm(8, 9, read.knownOffset, 1).bind(missing);
  }
}

function addressOf({ base, offset }: SharedRead): Uint8Array {
  const out = new ByteWriter();
  if (base === 'module') return out.u8(DW_OP.DW_OP_addr).u64(BigInt.asUintN(64, offset)).finish();
  return out.u8(DW_OP.DW_OP_bregx).uleb(base).sleb(offset).finish();
}

/** How to load a value that the record may hold; undefined where it surely does not. */
export function heldRead(
  read: LeadingRead,
  parent: ParentRange | undefined,
  context: CollectContext,
): HeldRead | undefined {
  if (read.base === 'object') return parent === undefined ? undefined : heldByParent(read, parent, context);
  return heldByShared(read, context);
}

function heldByShared(read: LeadingRead, context: CollectContext): HeldRead | undefined {
  const { assembler: asm, layout } = context;
  const shared = layout.sharedReads.find(
    ({ base, offset, bytes }) =>
      base === read.base &&
      read.offset >= offset &&
      read.offset + BigInt(read.width) <= offset + BigInt(bytes),
  );
  if (shared === undefined) return undefined;
  return (missing) => {
    asm
      .loadMemory(8, 1, 9, shared.knownOffset)
      .jumpIfImm('eq', 1, 0, missing)
      .loadMemory(read.width, 7, 9, shared.bytesOffset + Number(read.offset - shared.offset));
  };
}

function heldByParent(
  read: LeadingRead,
  { index, range }: ParentRange,
  context: CollectContext,
): HeldRead | undefined {
  const { assembler: asm, layout } = context;
  const end = read.offset + BigInt(read.width);
  if (read.offset < 0n || end > BigInt(Math.min(range.maxBytes, layout.dataBytes))) return undefined;
  return (missing) => {
    asm
      .loadMemory(4, 1, 9, statusOffset(index) + rangeStatus.length)
      .jumpIfImm('lt', 1, Number(end), missing)
      .loadMemory(4, 1, 9, placeOffset(layout.rangeCount, index))
      // Never true; the verifier does not know it.
      .jumpIfImm('ge', 1, layout.dataBytes, missing)
      .alu('add', 1, 9)
      .aluImm('add', 1, layout.dataOffset + Number(read.offset))
      .loadMemory(read.width, 7, 1, 0);
  };
}
