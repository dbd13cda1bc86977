/** Types that a process names by the address of what its runtime knows of them. */
import { isAbsent } from '../../format/absent.js';
import { runtimeAddress, toLink } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import type { Type } from '../types/type.js';
import type { DynamicType } from '../types/cplusplus/dynamic-object.js';
import type { ViewContext } from '../types/view.js';
import type { SnapshotModule } from './module.js';
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
  const { encoding, offsetToTop } = place;
  const { executable, modules } = snapshot;
  // A vtable can lie in a library that has no debug information: the program has its class all the same. What is local to a unit or a function other modules
  // may have by the same name.
  const others = isLocalName(encoding) ? [] : [executable, ...modules.modules];
  for (const each of [module, ...others]) {
    const type = classIn(each, encoding);
    if (type !== undefined) return { type, offsetToTop };
  }
  return undefined;
}

function isLocalName(encoding: string): boolean {
  return encoding.startsWith('Z') || encoding.includes('_GLOBAL__N_');
}

/** Malformed debug information of a module costs the classes in it. */
function classIn(module: SnapshotModule | undefined, encoding: string): Type | undefined {
  const symbols = module?.symbols();
  if (symbols === undefined || isAbsent(symbols)) return undefined;
  try {
    return symbols.classOfName?.(encoding);
  } catch (error) {
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
}
