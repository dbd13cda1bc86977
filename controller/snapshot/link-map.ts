/** The dynamic linker's list of what it loaded (glibc link.h, `struct link_map`): which entry a module of a snapshot is. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, toRuntime } from '../../format/address.js';
import { PT } from '../../format/elf/constants.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot } from './open.js';
import { readInteger } from './thread-library.js';

const DT_DEBUG = 21n;
const dynamicEntryBytes = 16n;
const maxDynamicEntries = 512n;
const maxNamespaces = 16;

/** The address of the `link_map` whose dynamic section is the module's. */
export function findLinkMap(snapshot: Snapshot, module: SnapshotModule): bigint | Absent {
  const dynamic = dynamicOf(module);
  if (isAbsent(dynamic)) return dynamic;
  let debug = findDebug(snapshot);
  // One list for each namespace of dlmopen(3).
  for (let i = 0; i < maxNamespaces && !isAbsent(debug) && debug !== 0n; i++) {
    const found = findInList(snapshot, debug, dynamic);
    if (found !== undefined) return found;
    debug = nextNamespace(snapshot, debug);
  }
  if (isAbsent(debug)) return debug;
  return absent('unreadable', `the dynamic linker's list of libraries does not have "${module.path}"`);
}

function dynamicOf(module: SnapshotModule): bigint | Absent {
  const { elf } = module;
  if (isAbsent(elf)) return elf;
  const segment = elf.segments.find(({ type }) => type === PT.PT_DYNAMIC);
  if (segment === undefined) return absent('no-debug-info', `"${module.path}" has no dynamic section`);
  return toRuntime(linkAddress(segment.virtualAddress), module.bias);
}

/** `struct r_debug`, to which the executable's dynamic section points once it runs. */
function findDebug(snapshot: Snapshot): bigint | Absent {
  const { executable } = snapshot;
  if (executable === undefined) return absent('no-debug-info', 'the executable of the process is not known');
  const dynamic = dynamicOf(executable);
  if (isAbsent(dynamic)) return dynamic;
  for (let i = 0n; i < maxDynamicEntries; i++) {
    const at = dynamic + i * dynamicEntryBytes;
    const tag = readInteger(snapshot, at, 8);
    if (isAbsent(tag)) return tag;
    if (tag === 0n) break;
    if (tag === DT_DEBUG) return readInteger(snapshot, at + 8n, 8);
  }
  return absent('unreadable', `"${executable.path}" does not say where the dynamic linker keeps its list`);
}

/** `r_map` stands behind `r_version`; in a `link_map`, `l_ld` and `l_next` behind `l_addr` and `l_name`. */
function findInList(snapshot: Snapshot, debug: bigint, dynamic: bigint): bigint | undefined {
  let map = readInteger(snapshot, debug + 8n, 8);
  for (let i = 0; i < snapshot.limits.maxModules && !isAbsent(map) && map !== 0n; i++) {
    if (readInteger(snapshot, map + 16n, 8) === dynamic) return map;
    map = readInteger(snapshot, map + 24n, 8);
  }
  return undefined;
}

/** `r_next` of `struct r_debug_extended`, from version 2 on. */
function nextNamespace(snapshot: Snapshot, debug: bigint): bigint | Absent {
  const version = readInteger(snapshot, debug, 4);
  if (isAbsent(version)) return version;
  return version < 2n ? 0n : readInteger(snapshot, debug + 40n, 8);
}
