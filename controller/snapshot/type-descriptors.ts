/** Types that a process names by the address of what its runtime knows of them. */
import { isAbsent } from '../../format/absent.js';
import { runtimeAddress, toLink } from '../../format/address.js';
import type { Type } from '../types/type.js';
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
    case 'rust-vtable':
      return symbols.typeOfRustVtable(link);
    case 'c++-vtable':
    case 'c++-member':
      return undefined;
  }
}
