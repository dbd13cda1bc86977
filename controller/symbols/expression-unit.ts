/** What the expressions of a unit refer to beyond themselves. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { type LinkAddress, hex } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { DW_AT, DW_ATE, DW_TAG } from '../dwarf/constants.js';
import { expressionAt, locationOf } from '../dwarf/location-list.js';
import { toPc } from '../dwarf/sections.js';
import type { Die } from '../dwarf/die.js';
import type { Unit } from '../dwarf/unit.js';
import type { CalledLocation, ExpressionUnit, VariableSymbol } from './module-symbols.js';
import { originChain, owner } from './origin.js';

/** What the expressions of a unit need of its module. */
export interface UnitSurroundings {
  variableOf(die: Die): VariableSymbol;
  unitOf(die: Die): ExpressionUnit;
  /** Variables and parameters that the function at an address declares outside of any block. */
  declaredAt(address: LinkAddress): readonly Die[];
}

export function expressionUnitOf(unit: Unit, surroundings: UnitSurroundings): ExpressionUnit {
  return {
    countsFromBody: /\b(?:clang|LLVM)\b/.test(unit.producer),
    parameterKey: (dieOffset) => unit.info.firstKey + unit.offset + dieOffset,
    variable(dieOffset) {
      const die = unit.info.die(dieOffset);
      return die.tag === DW_TAG.variable || die.tag === DW_TAG.formal_parameter
        ? surroundings.variableOf(die)
        : undefined;
    },
    // In version 2 references to other units are as wide as addresses, in expressions as in forms.
    offsetSize: unit.version <= 2 && unit.addressSize === 8 ? 8 : unit.offsetSize,
    addressByIndex(index) {
      try {
        return unit.addressOfIndex(index);
      } catch (error) {
        if (error instanceof StillframeError) return absent('unsupported', error.message);
        throw error;
      }
    },
    baseType(dieOffset) {
      const at = unit.offset + dieOffset;
      if (at < unit.header.firstDie || at >= unit.end) return undefined;
      const die = unit.info.die(at);
      const byteSize = die.size(DW_AT.byte_size);
      if (die.tag !== DW_TAG.base_type || byteSize === undefined || byteSize === 0) return undefined;
      return { byteSize, encoding: encodingOf(die.size(DW_AT.encoding)) };
    },
    called(dieOffset, from, address) {
      const die = unit.info.die(from === 'unit' ? unit.offset + dieOffset : dieOffset);
      const found = locationAt(die, address);
      if (found === undefined || isAbsent(found) || die.unit === unit) return found;
      return { ...found, unit: surroundings.unitOf(die) };
    },
    pointedTo(dieOffset, address) {
      const die = unit.info.die(dieOffset);
      const found = isPlaced(die)
        ? die
        : surroundings.declaredAt(address).find((each) => isInstance(each, die));
      return surroundings.variableOf(found ?? die);
    },
  };
}

function locationAt(die: Die, address: LinkAddress): CalledLocation | Absent | undefined {
  if (locationOf(die, DW_AT.location) === undefined) return undefined;
  const expression = expressionAt(die, DW_AT.location, toPc(address));
  return expression === undefined
    ? absent('optimized-out', `the location that its own depends on has nothing for ${hex(address)}`)
    : { expression };
}

/** Whether a DIE says of itself where the object is, or what. */
function isPlaced(die: Die): boolean {
  return owner(die, DW_AT.location) !== undefined || owner(die, DW_AT.const_value) !== undefined;
}

function isInstance(die: Die, abstract: Die): boolean {
  return die.key !== abstract.key && [...originChain(die)].some((one) => one.key === abstract.key);
}

function encodingOf(encoding: number | undefined): 'signed' | 'unsigned' | 'float' | 'other' {
  switch (encoding) {
    case DW_ATE.signed:
    case DW_ATE.signed_char:
      return 'signed';
    case DW_ATE.unsigned:
    case DW_ATE.unsigned_char:
    case DW_ATE.boolean:
    case DW_ATE.address:
    case DW_ATE.UTF:
      return 'unsigned';
    case DW_ATE.float:
      return 'float';
    case undefined:
    default:
      return 'other';
  }
}
