/**
 * Variables as Go's compiler describes them: one that escaped to the heap as a pointer to it with `&` before its name, and each as if it were there
 * in all of its block, whereas a name of Go means something only behind its declaration.
 */
import { type Absent, absent } from '../../format/absent.js';
import type { LinkAddress } from '../../format/address.js';
import { ByteCursor, ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { locationOf } from '../dwarf/location-list.js';
import { stripType } from '../types/layout.js';
import type { Type } from '../types/type.js';
import type { VariableLocation, VariableSymbol } from './module-symbols.js';
import { owner } from './origin.js';

/** What a variable is called: undefined for those of the compiler's own making. */
export function goVariableName(name: string): string | undefined {
  if (name.startsWith('.')) return undefined;
  return name.startsWith('&') ? name.slice(1) : name;
}

/** `line`: where its function stands. */
export function goVariable(variable: VariableSymbol, die: Die, line: number | undefined): VariableSymbol {
  const isEscaped = variable.name.startsWith('&');
  const early = notYetDeclared(variable, die, line);
  if (!isEscaped && early === undefined) return variable;
  return {
    name: goVariableName(variable.name) ?? variable.name,
    parameter: variable.parameter,
    shadowed: variable.shadowed,
    type: isEscaped ? () => pointee(variable.type()) : variable.type,
    ...(variable.declaredFile === undefined ? {} : { declaredFile: variable.declaredFile }),
    ...(variable.declaredLine === undefined ? {} : { declaredLine: variable.declaredLine }),
    ...(variable.unit === undefined ? {} : { unit: variable.unit }),
    availableRanges: variable.availableRanges,
    locationAt: (address) =>
      early ?? (isEscaped ? escapedAt(variable, address) : variable.locationAt(address)),
  };
}

/** NB: what stands in its place before it is declared is whatever was there before. Location lists know better. */
function notYetDeclared(variable: VariableSymbol, die: Die, line: number | undefined): Absent | undefined {
  const { declaredLine } = variable;
  if (line === undefined || declaredLine === undefined || declaredLine < line) return undefined;
  if (die.tag === DW_TAG.formal_parameter) return undefined;
  const located = owner(die, DW_AT.location);
  if (located === undefined || locationOf(located, DW_AT.location)?.kind !== 'expression') return undefined;
  return absent(
    'not-in-scope',
    `it is declared at line ${declaredLine}, and the function is not past that line`,
  );
}

function pointee(type: Type): Type {
  const plain = stripType(type);
  if (plain.kind === 'pointer') return plain.target();
  return { kind: 'unknown', detail: 'an escaped variable that is no pointer' };
}

function escapedAt(variable: VariableSymbol, address: LinkAddress): VariableLocation | Absent {
  const location = variable.locationAt(address);
  if ('absent' in location) return location;
  const expression = location.kind === 'expression' ? dereferenced(location.expression) : undefined;
  if (expression !== undefined) return { kind: 'expression', expression };
  return absent('unsupported', 'the pointer to this variable is described in a way that is not known');
}

/** The location of what the pointer at a location points to. */
function dereferenced(expression: Uint8Array): Uint8Array | undefined {
  const cursor = new ByteCursor(expression, 'location of an escaped variable');
  const start = new ByteWriter();
  const opcode = cursor.u8();
  let inMemory = true;
  if (opcode >= DW_OP.DW_OP_reg0 && opcode < DW_OP.DW_OP_reg0 + 32) {
    start.u8(DW_OP.DW_OP_breg0 + opcode - DW_OP.DW_OP_reg0).sleb(0n);
    inMemory = false;
  } else if (opcode === DW_OP.DW_OP_fbreg || isBreg(opcode)) start.u8(opcode).sleb(cursor.sleb());
  else if (opcode === DW_OP.DW_OP_call_frame_cfa) start.u8(opcode);
  else if (opcode === DW_OP.DW_OP_addr) start.u8(opcode).u64(cursor.u64());
  else return undefined;
  // Go adds to the CFA, and writes a pointer as an object of one piece.
  if (!cursor.atEnd && expression[cursor.offset] === DW_OP.DW_OP_plus_uconst)
    start.u8(cursor.u8()).uleb(cursor.uleb());
  if (!cursor.atEnd && (cursor.u8() !== DW_OP.DW_OP_piece || cursor.uleb() !== 8n)) return undefined;
  if (!cursor.atEnd) return undefined;
  if (inMemory) start.u8(DW_OP.DW_OP_deref);
  return start.finish();
}

function isBreg(opcode: number): boolean {
  return opcode >= DW_OP.DW_OP_breg0 && opcode < DW_OP.DW_OP_breg0 + 32;
}
