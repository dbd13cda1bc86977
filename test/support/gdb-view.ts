/** What our symbols say, in the shape of what gdb says: see gdb-symbols.ts. */
import type { ModuleSymbols } from '../../controller/symbols/module-symbols.js';
import { sizeOf, stripType } from '../../controller/types/layout.js';
import { linkAddress } from '../../format/address.js';
import type { GdbLayout, GdbScope } from './gdb-symbols.js';

const byName = (a: readonly unknown[], b: readonly unknown[]): number =>
  JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;

export function scopeAt(symbols: ModuleSymbols, address: bigint): GdbScope {
  const stack = symbols.sourceStack(linkAddress(address));
  return {
    file: stack[0]?.file ?? null,
    line: stack[0]?.line ?? 0,
    levels: stack.map(({ function: name, scope }) => ({
      function: name,
      variables: (scope?.variables ?? [])
        .map(({ name: variable, parameter }) => [variable, parameter] as const)
        .toSorted(byName),
    })),
  };
}

export function sorted(scope: GdbScope): GdbScope {
  return {
    ...scope,
    levels: scope.levels.map((level) => ({ ...level, variables: level.variables.toSorted(byName) })),
  };
}

/** The same facts as gdb gives: places of members and values of enumerators. */
export function layoutOf(symbols: ModuleSymbols, name: string): GdbLayout | string {
  const found = symbols.findType(name);
  if (found === undefined) return 'not found';
  const type = stripType(found);
  const size = sizeOf(type) ?? -1;
  if (type.kind === 'enum') {
    const fields = type.enumerators().map((each) => [each.name, Number(each.value), 0] as const);
    return { size, fields };
  }
  if (type.kind !== 'struct' && type.kind !== 'union') return type.kind;
  const fields = type
    .members()
    .map(
      ({ name: member, byteOffset, bitOffset = 0, bitSize = 0 }) =>
        [member ?? null, byteOffset * 8 + bitOffset, bitSize] as const,
    );
  return { size, fields };
}
