/** Types that a process names by the address of what its runtime knows of them. */
import { isAbsent } from '../../format/absent.js';
import { runtimeAddress, toLink } from '../../format/address.js';
import type { Type } from '../types/type.js';
import type { DynamicType } from '../types/cplusplus/dynamic-object.js';
import type { ViewContext } from '../types/view.js';
import type { Snapshot } from './open.js';

export function typeOfDescriptor(
  snapshot: Snapshot,
  ...[address, kind]: Parameters<NonNullable<ViewContext['typeOfDescriptor']>>
): Type | undefined {
  const module = snapshot.modules.find(address);
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const link = toLink(runtimeAddress(address), module.bias);
  switch (kind) {
    case 'go-type':
      return symbols.goTypeAt?.(link);
    case 'go-closure':
      return symbols.goClosureAt?.(link);
    case 'c++-member':
      return symbols.classOfMember?.(link);
    case 'c++-vtable':
      return dynamicTypeAt(snapshot, address)?.type;
    case 'rust-vtable':
      return symbols.typeOfRustVtable(link);
  }
}

/** What an object of C++ is as a whole, by the vtable that its first word points to. */
export function dynamicTypeAt(snapshot: Snapshot, vtable: bigint): DynamicType | undefined {
  // What stands before the address is the vtable's, too; where it has no functions the address itself may not be.
  const module = snapshot.modules.find(BigInt.asUintN(64, vtable - 1n));
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const place = symbols.vtableAt?.(toLink(runtimeAddress(vtable), module.bias));
  if (place === undefined) return undefined;
  // A vtable can lie in a library that has no debug information, as those of libstdc++: the program has its class all the same.
  const { executable } = snapshot;
  for (const each of [module, executable, ...snapshot.modules.modules]) {
    const own = each?.symbols();
    const type = own === undefined || isAbsent(own) ? undefined : own.classOfName?.(place.encoding);
    if (type !== undefined) return { type, offsetToTop: place.offsetToTop };
  }
  return undefined;
}
