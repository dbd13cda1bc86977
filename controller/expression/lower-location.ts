/**
 * A variable's DWARF location at a probed address to what a plan may contain: registers as they are there, nothing that asks for
 * a frame base, a CFA or an index. Valid only for the frame that is being probed, at the address of the CFI row.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { decodeExpression, type Operation } from '../../format/dwarf-op/decode.js';
import { DW_OP, constantOperations, operationName } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';
import { dwarfRip, dwarfRsp } from '../../format/registers/x86-64.js';
import type { CallFrameRow } from '../dwarf/call-frame.js';
import type { VariableLocation } from '../symbols/module-symbols.js';
import { OpWriter, type Label } from './op-writer.js';

/** Both leave one value on the stack: the object's address, or its bytes as a little-endian number of at most 64 bits. */
export type PlanLocation =
  | { readonly kind: 'address'; readonly expression: Uint8Array }
  | { readonly kind: 'value'; readonly expression: Uint8Array };

export interface LocationSite {
  /** DW_AT_frame_base of the function. */
  readonly frameBase: Uint8Array | undefined;
  /** The CFI row at the probed address. */
  readonly cfa: CallFrameRow | Absent;
  /** DW_OP_addrx: the entry of `.debug_addr`, a link address. */
  readonly addressByIndex?: (index: number) => bigint | Absent;
  /** Why locations that count from the stack pointer are not to be believed at the address, if they are not. */
  readonly movedStackPointer?: (() => Absent | undefined) | undefined;
}

/** As `rewriteLocation`, for a variable whose value may be a constant. */
export function rewriteVariable(location: VariableLocation, site: LocationSite): PlanLocation | Absent {
  return location.kind === 'constant'
    ? implicitValue(location.bytes)
    : rewriteLocation(location.expression, site);
}

/** Absent `optimized-out` when there is no object here, `unsupported` when a plan cannot say where it is. */
export function rewriteLocation(expression: Uint8Array, site: LocationSite): PlanLocation | Absent {
  let operations: readonly Operation[];
  try {
    operations = decodeExpression(expression, { addressSize: 8, name: 'location' });
  } catch (error) {
    if (error instanceof StillframeError) return absent('no-debug-info', error.message);
    throw error;
  }
  const end = operations.findLastIndex((each) => !isNothing(each.code)) + 1;
  operations = operations.slice(0, end);
  if (operations.some(({ code }) => code === DW_OP.DW_OP_piece || code === DW_OP.DW_OP_bit_piece)) {
    const only = operations.findIndex(({ code }) => code === DW_OP.DW_OP_piece) === operations.length - 1;
    if (!only) return absent('unsupported', 'it lies in several pieces, which a probe cannot put together');
    operations = operations.slice(0, -1);
  }
  const last = operations.at(-1);
  if (last === undefined) return absent('optimized-out', 'it has no location here');
  const register = registerOf(last);
  if (register !== undefined && operations.length === 1) {
    if (register > dwarfRip) return vectorRegister(register);
    return { kind: 'value', expression: new OpWriter().register(register, 0n).finish() };
  }
  if (last.code === DW_OP.DW_OP_implicit_value && operations.length === 1) return implicitValue(last.block);
  if (last.code === DW_OP.DW_OP_implicit_pointer || last.code === DW_OP.DW_OP_GNU_implicit_pointer) {
    return absent('optimized-out', 'it points to something that is not in memory');
  }
  const isValue = last.code === DW_OP.DW_OP_stack_value;
  if (isValue) operations = operations.slice(0, -1);
  const out = new OpWriter();
  const failed = rewriteInto(out, operations, site, 0);
  return failed ?? { kind: isValue ? 'value' : 'address', expression: out.finish() };
}

function isNothing(code: number): boolean {
  return code === DW_OP.DW_OP_nop || code === DW_OP.DW_OP_GNU_uninit;
}

function registerOf(operation: Operation): number | undefined {
  if (operation.code === DW_OP.DW_OP_regx) return Number(operation.a);
  const number = operation.code - DW_OP.DW_OP_reg0;
  return number >= 0 && number < 32 ? number : undefined;
}

function vectorRegister(register: number): Absent {
  const name = register >= 17 && register <= 32 ? `xmm${register - 17}` : `number ${register}`;
  return absent('unsupported', `it is in register ${name}, which a probe does not see`);
}

function implicitValue(bytes: Uint8Array): PlanLocation | Absent {
  if (bytes.length > 8) return absent('unsupported', `it is a constant of ${bytes.length} bytes`);
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return { kind: 'value', expression: new OpWriter().constant(value).finish() };
}

const maxNesting = 4;

/** Operations that mean the same in a plan and take no operand that needs a look. */
const plain = new Set<number>([
  DW_OP.DW_OP_deref,
  DW_OP.DW_OP_dup,
  DW_OP.DW_OP_drop,
  DW_OP.DW_OP_over,
  DW_OP.DW_OP_swap,
  DW_OP.DW_OP_rot,
  DW_OP.DW_OP_and,
  DW_OP.DW_OP_div,
  DW_OP.DW_OP_minus,
  DW_OP.DW_OP_mod,
  DW_OP.DW_OP_mul,
  DW_OP.DW_OP_neg,
  DW_OP.DW_OP_not,
  DW_OP.DW_OP_abs,
  DW_OP.DW_OP_or,
  DW_OP.DW_OP_plus,
  DW_OP.DW_OP_shl,
  DW_OP.DW_OP_shr,
  DW_OP.DW_OP_shra,
  DW_OP.DW_OP_xor,
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_ge,
  DW_OP.DW_OP_gt,
  DW_OP.DW_OP_le,
  DW_OP.DW_OP_lt,
  DW_OP.DW_OP_ne,
]);

/** Undefined when all went well. */
function rewriteInto(
  out: OpWriter,
  operations: readonly Operation[],
  site: LocationSite,
  nesting: number,
): Absent | undefined {
  if (nesting > maxNesting) return absent('unsupported', 'its location is nested too deeply');
  const labels = new Map<number, Label>();
  for (const [index, operation] of operations.entries()) {
    const here = labels.get(index);
    if (here !== undefined) out.bind(here);
    const { code, a, b } = operation;
    if (code === DW_OP.DW_OP_bra || code === DW_OP.DW_OP_skip) {
      if (operation.target <= index) return absent('unsupported', 'its location has a loop');
      const label = labels.get(operation.target) ?? out.label();
      labels.set(operation.target, label);
      out.jump(code, label);
      continue;
    }
    if (plain.has(code)) out.op(code);
    else if (constantOperations.has(code)) out.constant(a);
    else if (code >= DW_OP.DW_OP_lit0 && code <= DW_OP.DW_OP_lit31) out.op(code);
    else if (code === DW_OP.DW_OP_plus_uconst) out.plus(a);
    else if (code === DW_OP.DW_OP_pick || code === DW_OP.DW_OP_deref_size) out.op(code, Number(a));
    else if (code === DW_OP.DW_OP_addr) out.address(a);
    else if (!isNothing(code)) {
      const failed =
        code === DW_OP.DW_OP_fbreg
          ? writeFrameBase(out, a, site, nesting)
          : code === DW_OP.DW_OP_call_frame_cfa
            ? writeCfa(out, 0n, site, nesting)
            : rewriteOne(out, code, a, b, site);
      if (failed !== undefined) return failed;
    }
  }
  const end = labels.get(operations.length);
  if (end !== undefined) out.bind(end);
  return undefined;
}

function rewriteOne(
  out: OpWriter,
  code: number,
  a: bigint,
  b: bigint,
  site: LocationSite,
): Absent | undefined {
  const base =
    code === DW_OP.DW_OP_bregx
      ? Number(a)
      : code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31
        ? code - DW_OP.DW_OP_breg0
        : undefined;
  if (base !== undefined) {
    if (base > dwarfRip) return vectorRegister(base);
    const moved = base === dwarfRsp ? site.movedStackPointer?.() : undefined;
    if (moved !== undefined) return moved;
    out.register(base, code === DW_OP.DW_OP_bregx ? b : a);
    return undefined;
  }
  switch (code) {
    case DW_OP.DW_OP_addrx:
    case DW_OP.DW_OP_GNU_addr_index: {
      const address = site.addressByIndex?.(Number(a)) ?? absent('no-debug-info', 'no table of addresses');
      if (isAbsent(address)) return address;
      out.address(address);
      return undefined;
    }
    case DW_OP.DW_OP_entry_value:
    case DW_OP.DW_OP_GNU_entry_value:
      return absent('optimized-out', 'only its value at function entry is known');
    case DW_OP.DW_OP_form_tls_address:
    case DW_OP.DW_OP_GNU_push_tls_address:
      return absent('unsupported', 'it is thread-local, which a probe cannot find');
    default:
      return absent(
        'unsupported',
        `its location needs ${operationName(code) ?? `operation 0x${code.toString(16)}`}, which a probe cannot do`,
      );
  }
}

function writeFrameBase(
  out: OpWriter,
  offset: bigint,
  site: LocationSite,
  nesting: number,
): Absent | undefined {
  if (site.frameBase === undefined) return absent('no-debug-info', 'the function has no frame base');
  const operations = decodeExpression(site.frameBase, { addressSize: 8, name: 'frame base' });
  const [only] = operations;
  if (only !== undefined && operations.length === 1) {
    const register = registerOf(only);
    if (register !== undefined && register <= dwarfRip) {
      const moved = register === dwarfRsp ? site.movedStackPointer?.() : undefined;
      if (moved !== undefined) return moved;
      out.register(register, offset);
      return undefined;
    }
    if (only.code === DW_OP.DW_OP_call_frame_cfa) return writeCfa(out, offset, site, nesting);
  }
  if (operations.some(({ code }) => code === DW_OP.DW_OP_fbreg)) {
    return absent('no-debug-info', 'the frame base of the function depends on itself');
  }
  const failed = rewriteInto(out, operations, site, nesting + 1);
  if (failed === undefined) out.plus(offset);
  return failed;
}

function writeCfa(out: OpWriter, offset: bigint, site: LocationSite, nesting: number): Absent | undefined {
  if (isAbsent(site.cfa)) return site.cfa;
  const { cfa } = site.cfa;
  if (cfa.kind === 'register') {
    if (cfa.register > dwarfRip) return vectorRegister(cfa.register);
    out.register(cfa.register, cfa.offset + offset);
    return undefined;
  }
  const operations = decodeExpression(cfa.expression, { addressSize: 8, name: 'CFA expression' });
  const failed = rewriteInto(
    out,
    operations,
    { ...site, frameBase: undefined, movedStackPointer: undefined },
    nesting + 1,
  );
  if (failed === undefined) out.plus(offset);
  return failed;
}
