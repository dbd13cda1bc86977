/** Objects for the lowering: where they are, and reading them. */
import { isAbsent } from '../../format/absent.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { sizeOf } from '../types/layout.js';
import type { Numeric } from './c-types.js';
import type { Lowerer } from './lower.js';
import type { PlanLocation } from './lower-location.js';
import { partOf } from './lower-part.js';
import type { OpWriter } from './op-writer.js';
import { bitWindow, wholeOf } from './scalar.js';
import { isPlaced, type Typed } from './typed.js';

/** Pushes the address of an object (true) or its bytes as a number (false). */
export function locate(lowerer: Lowerer, node: Typed): boolean {
  const { out } = lowerer;
  const part = node.kind === 'member' || node.kind === 'element' ? pieceOf(lowerer, node) : undefined;
  if (part !== undefined) {
    out.raw(part.expression);
    return part.kind === 'address';
  }
  if (!isPlaced(node)) return lowerer.refuse(node, `${node.path} has no place in the target`);
  switch (node.kind) {
    case 'variable': {
      const location = lowerer.context.variableLocation(node.variable);
      if (isAbsent(location)) return lowerer.refuse(node, `${node.path}: ${location.detail}`, location);
      out.raw(location.expression);
      return location.kind === 'address';
    }
    case 'dereference':
      if (node.pointer.kind === 'bound' && !lowerer.isBound(node.pointer)) {
        return locate(lowerer, node.pointer.object);
      }
      lowerer.push(node.pointer);
      return true;
    case 'let':
      return lowerer.bind(node, () => locate(lowerer, node.body));
    case 'slice':
      lowerer.push(node.pointer);
      return true;
    case 'member': {
      const inMemory = locate(lowerer, node.object);
      step(lowerer, node, inMemory, BigInt(node.byteOffset));
      return inMemory;
    }
    case 'element': {
      const inMemory = locate(lowerer, node.array);
      if (node.index.kind === 'constant') {
        step(lowerer, node, inMemory, wholeOf(node.index.value) * BigInt(node.size));
        return inMemory;
      }
      if (!inMemory) {
        return lowerer.refuse(node, `${node.path} is in a register here and its index is not constant`);
      }
      lowerer.push(node.index);
      if (node.size !== 1) out.constant(BigInt(node.size)).op(DW_OP.DW_OP_mul);
      out.op(DW_OP.DW_OP_plus);
      return true;
    }
    case 'function':
      out.address(node.address);
      return true;
    case 'conditional': {
      const kinds: boolean[] = [];
      lowerer.choose(
        node.condition,
        () => kinds.push(locate(lowerer, node.whenTrue)),
        () => kinds.push(locate(lowerer, node.whenFalse)),
      );
      if (kinds[0] === kinds[1]) return kinds[0] === true;
      return lowerer.refuse(node, `one side of ${node.path} is in memory here and the other is not`);
    }
    case 'guarded':
      lowerer.pushGuard(node);
      return locate(lowerer, node.operand);
    case 'view-element':
    case 'view-lookup':
    case 'view-page':
    case 'dynamic':
      lowerer.pushWalked(node);
      return true;
    case 'parts':
    case 'string':
    case 'fact':
      return lowerer.refuse(node, `${node.path} has no place in the target`);
  }
}

function pieceOf({ context }: Lowerer, node: Typed): PlanLocation | undefined {
  const part = context.variablePart === undefined ? undefined : partOf(node);
  return part === undefined ? undefined : context.variablePart?.(part);
}

/** NB: an offset can be any that 64 bits hold, and more: an index is whatever somebody wrote. */
function step(lowerer: Lowerer, node: Typed, inMemory: boolean, offset: bigint): void {
  const { out } = lowerer;
  if (inMemory) {
    out.plus(offset);
    return;
  }
  // Whether a bit field is there is seen when its bits are taken.
  const size = node.kind === 'member' && node.bits !== undefined ? 0 : (sizeOf(node.type) ?? 0);
  if (offset < 0n || offset + BigInt(size) > 8n) return outsideOfRegister(lowerer, node);
  if (offset > 0n) out.constant(offset * 8n).op(DW_OP.DW_OP_shr);
}

function outsideOfRegister(lowerer: Lowerer, node: Typed): never {
  return lowerer.refuse(node, `${node.path} is not in the register of its object`);
}

/** Pushes the value of an object, extended as its type is signed. */
export function load(lowerer: Lowerer, node: Typed, numeric: Numeric & { readonly kind: 'integer' }): void {
  const { out } = lowerer;
  const inMemory = locate(lowerer, node);
  const bits = node.kind === 'member' ? node.bits : undefined;
  if (bits === undefined) {
    if (inMemory) {
      if (![1, 2, 4, 8].includes(numeric.size)) {
        return lowerer.refuse(node, `integers of ${numeric.size} bytes cannot be read in the kernel`);
      }
      out.dereference(numeric.size);
      if (numeric.signed) lowerer.normalize(numeric);
    } else lowerer.normalize(numeric);
    return;
  }
  const { start, length } = bitWindow(bits);
  if (length > 8) {
    return lowerer.refuse(node, 'bit fields that lie in more than 8 bytes cannot be read in the kernel');
  }
  let low = bits.offset;
  if (inMemory) {
    out.plus(BigInt(start));
    readBytes(out, length);
    low -= start * 8;
  }
  const above = 64 - low - bits.size;
  if (above < 0) return outsideOfRegister(lowerer, node);
  if (above > 0) out.constant(BigInt(above)).op(DW_OP.DW_OP_shl);
  const down = BigInt(64 - bits.size);
  if (down > 0n) out.constant(down).op(numeric.signed ? DW_OP.DW_OP_shra : DW_OP.DW_OP_shr);
}

/** Replaces an address by that many bytes at it, in reads of a power of two: no byte beyond is touched. */
function readBytes(out: OpWriter, length: number): void {
  if ([1, 2, 4, 8].includes(length)) {
    out.dereference(length);
    return;
  }
  const first = length > 4 ? 4 : 2;
  out.op(DW_OP.DW_OP_dup).plus(BigInt(first));
  readBytes(out, length - first);
  out
    .constant(BigInt(first * 8))
    .op(DW_OP.DW_OP_shl, DW_OP.DW_OP_swap)
    .dereference(first)
    .op(DW_OP.DW_OP_or);
}
