/** What the expressions of a unit refer to beyond themselves. */
import { absent } from '../../format/absent.js';
import { StillframeError } from '../../format/error.js';
import { DW_AT, DW_ATE, DW_TAG } from '../dwarf/constants.js';
import { locationOf } from '../dwarf/location-list.js';
import type { Die } from '../dwarf/die.js';
import type { Unit } from '../dwarf/unit.js';
import type { ExpressionUnit, VariableSymbol } from './module-symbols.js';

/** `variableOf` makes the variable of a DIE. */
export function expressionUnitOf(unit: Unit, variableOf: (die: Die) => VariableSymbol): ExpressionUnit {
  return {
    parameterKey: (dieOffset) => unit.info.firstKey + unit.offset + dieOffset,
    variable(dieOffset) {
      const die = unit.info.die(dieOffset);
      return die.tag === DW_TAG.variable || die.tag === DW_TAG.formal_parameter ? variableOf(die) : undefined;
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
    callExpression(dieOffset, from) {
      const die = unit.info.die(from === 'unit' ? unit.offset + dieOffset : dieOffset);
      const location = locationOf(die, DW_AT.location);
      // A list depends on the address, which is not known here: an operation that does not exist makes it unsupported.
      return location?.kind === 'list' ? Uint8Array.of(0) : location?.expression;
    },
  };
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
