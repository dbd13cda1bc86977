/**
 * Whose vtable is at an address: rustc describes each as a variable `<T as Trait>::{vtable}`, whose type says by DW_AT_containing_type what T is. The
 * unit is found by its bytes, for a vtable says nothing of the unit that made it.
 */
import { ByteCursor } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { expressionAt } from '../dwarf/location-list.js';
import type { Unit } from '../dwarf/unit.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import type { ModuleContext } from './module-context.js';
import { viewLanguage } from './origin.js';

/** The bytes of an address can stand in a unit by chance: so many units are read for one. */
const maxUnits = 64;

export class RustVtables {
  readonly #context: ModuleContext;
  readonly #ofUnit = new Map<Unit, ReadonlyMap<bigint, Die>>();
  readonly #found = new Map<bigint, Type | undefined>();

  constructor(context: ModuleContext) {
    this.#context = context;
  }

  /** Undefined where none begins there, and where debug information says that it is of two types. */
  typeAt(address: bigint): Type | undefined {
    if (this.#found.has(address)) return this.#found.get(address);
    const type = this.#find(address);
    this.#found.set(address, type);
    return type;
  }

  #find(address: bigint): Type | undefined {
    let found: Type | undefined;
    for (const unit of this.#candidates(address)) {
      const type = this.#typeIn(unit, address);
      if (type === undefined) continue;
      // NB: linkers may lay equal vtables of several types in one place.
      if (found !== undefined && typeName(found) !== typeName(type)) return undefined;
      found ??= type;
    }
    return found;
  }

  #typeIn(unit: Unit, address: bigint): Type | undefined {
    let vtables = this.#ofUnit.get(unit);
    if (vtables === undefined) this.#ofUnit.set(unit, (vtables = vtablesOf(unit)));
    const concrete = vtables.get(address)?.reference(DW_AT.type)?.reference(DW_AT.containing_type);
    return concrete === undefined ? undefined : this.#context.types.typeAt(concrete);
  }

  /** Units that have the address in an operation, and those whose operations have only indices of addresses. */
  #candidates(address: bigint): ReadonlySet<Unit> {
    const info = this.#context.files.main;
    const units = new Set<Unit>();
    const needle = Buffer.alloc(9);
    needle.writeUInt8(DW_OP.DW_OP_addr);
    needle.writeBigUInt64LE(BigInt.asUintN(64, address), 1);
    for (const at of info.search(needle)) {
      const unit = info.unitContaining(at);
      if (unit !== undefined && isRust(unit)) units.add(unit);
      if (units.size >= maxUnits) return units;
    }
    for (const unit of info.units) {
      const whole = this.#context.files.resolve(unit);
      if ((unit.version >= 5 || whole !== unit) && isRust(whole)) units.add(whole);
    }
    return units;
  }
}

const isRust = (unit: Unit): boolean => viewLanguage(unit.language) === 'rust';

function vtablesOf(unit: Unit): ReadonlyMap<bigint, Die> {
  const vtables = new Map<bigint, Die>();
  for (const die of unit.root.children()) {
    if (die.tag !== DW_TAG.variable || die.name?.endsWith('::{vtable}') !== true) continue;
    const address = addressOf(die);
    if (address !== undefined) vtables.set(address, die);
  }
  return vtables;
}

/** Of a location that is an address and nothing else. */
function addressOf(die: Die): bigint | undefined {
  const expression = expressionAt(die, DW_AT.location, 0);
  if (expression === undefined) return undefined;
  const cursor = new ByteCursor(expression, 'DW_AT_location');
  const operation = cursor.u8();
  if (operation === DW_OP.DW_OP_addr) return expression.length === 9 ? cursor.u64() : undefined;
  if (operation !== DW_OP.DW_OP_addrx && operation !== DW_OP.DW_OP_GNU_addr_index) return undefined;
  return die.unit.resolveAddress({ kind: 'address-index', index: cursor.ulebNumber() });
}
