/**
 * Where a thread has the thread-local variables of a module (ELF Handling for TLS, variant II). Those of the main program lie right
 * below the thread pointer. Those of a library are where the thread's vector of blocks (its DTV) says, or, for a library that was
 * given room beside them when it was loaded, at a fixed distance from the thread pointer: as libthread_db (td_thr_tlsbase) finds them.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import { PT } from '../../format/elf/constants.js';
import type { ElfSegment } from '../../format/elf/file.js';
import { findLinkMap } from './link-map.js';
import type { SnapshotModule } from './module.js';
import { stateOf, type Snapshot, type SnapshotThread } from './open.js';
import { readInteger, symbolAddress, ThreadLibrary } from './thread-library.js';

/** The address of a thread-local object at an offset in a module's block, for one thread. */
export function threadLocalAddress(
  snapshot: Snapshot,
  thread: SnapshotThread,
  module: SnapshotModule,
  offset: bigint,
): bigint | Absent {
  const { registers, note } = thread;
  if (registers === undefined)
    return thread.absent ?? absent('not-captured', 'its registers were not captured');
  const pointer = snapshot.architecture.threadPointer(stateOf(registers, note));
  if (isAbsent(pointer)) return pointer;
  const { elf } = module;
  if (isAbsent(elf)) return elf;
  if (pointer === 0n) return absent('not-in-scope', 'the thread has no thread-local storage yet');
  const segment = elf.segments.find(({ type }) => type === PT.PT_TLS);
  if (segment === undefined)
    return absent('no-debug-info', `"${module.path}" has no segment for thread-local variables`);
  const inside = offsetInBlock(offset, segment, module);
  if (isAbsent(inside)) return inside;
  const block =
    module === snapshot.executable
      ? pointer + snapshot.architecture.threadLocalOffset(segment)
      : libraryBlock(snapshot, pointer, module);
  return isAbsent(block) ? block : BigInt.asUintN(64, block + inside);
}

/**
 * NB: in split units gcc 12 has the linker put the variable's address in the segment into .debug_addr, where its offset belongs. What is
 * neither is the place of some other object.
 */
function offsetInBlock(offset: bigint, segment: ElfSegment, module: SnapshotModule): bigint | Absent {
  const { virtualAddress, memorySize } = segment;
  if (offset < memorySize) return offset;
  if (offset >= virtualAddress && offset < virtualAddress + memorySize) return offset - virtualAddress;
  return absent(
    'no-debug-info',
    `offset ${hex(offset)} is outside of the ${memorySize} bytes of thread-local variables of "${module.path}"`,
  );
}

function libraryBlock(snapshot: Snapshot, pointer: bigint, module: SnapshotModule): bigint | Absent {
  if (!snapshot.architecture.threadPointerIsDescriptor)
    return absent('unsupported', `thread-local variables of a shared library ("${module.path}")`);
  const library = ThreadLibrary.find(snapshot);
  if (isAbsent(library)) return library;
  const map = findLinkMap(snapshot, module);
  if (isAbsent(map)) return map;
  const id = library.read(map, 'link_map_l_tls_modid');
  if (isAbsent(id)) return id;
  if (id === 0n) return absent('no-debug-info', `"${module.path}" has no thread-local variables`);
  const generation = generationOf(snapshot, library, id, map);
  if (isAbsent(generation)) return generation;
  const known = blockInVector(library, pointer, id, generation);
  return known ?? fixedBlock(library, pointer, map, module);
}

/** The block as the thread's vector has it; undefined where the vector is older than the module, or has no block of it yet. */
function blockInVector(
  library: ThreadLibrary,
  pointer: bigint,
  id: bigint,
  generation: bigint,
): bigint | Absent | undefined {
  const vector = library.read(pointer, 'pthread_dtvp');
  if (isAbsent(vector)) return vector;
  const own = library.read(vector, 'dtv_t_counter');
  if (isAbsent(own)) return own;
  if (own < generation) return undefined;
  const slots = library.field('dtv_dtv');
  if (isAbsent(slots)) return slots;
  const block = library.read(vector + slots.offset + id * slots.bytes, 'dtv_t_pointer_val');
  // Not allocated for this thread: TLS_DTV_UNALLOCATED, which is odd as no block is.
  return isAbsent(block) || (block & 1n) === 0n ? block : undefined;
}

/** The module has its block at the same distance from the thread pointer in all threads, if it has it at one. */
function fixedBlock(
  library: ThreadLibrary,
  pointer: bigint,
  map: bigint,
  module: SnapshotModule,
): bigint | Absent {
  const distance = library.read(map, 'link_map_l_tls_offset');
  if (isAbsent(distance)) return distance;
  // NO_TLS_OFFSET, FORCED_DYNAMIC_TLS_OFFSET (glibc elf/link.h, x86).
  if (distance !== 0n && distance !== 0xffff_ffff_ffff_ffffn) return BigInt.asUintN(64, pointer - distance);
  return absent(
    'not-in-scope',
    `this thread has not used the thread-local variables of "${module.path}" yet: it has none of its own`,
  );
}

const maxSlotLists = 1024;

/** The number of the load that brought the module: a thread whose vector is older knows nothing of it. */
function generationOf(snapshot: Snapshot, library: ThreadLibrary, id: bigint, map: bigint): bigint | Absent {
  const place = slotLists(snapshot, library);
  if (isAbsent(place)) return place;
  const size = library.sizeOf('dtv_slotinfo');
  if (isAbsent(size)) return size;
  const slots = library.field('dtv_slotinfo_list_slotinfo');
  if (isAbsent(slots)) return slots;
  let list: bigint | Absent = place;
  let left = id;
  for (let i = 0; i < maxSlotLists && !isAbsent(list) && list !== 0n; i++) {
    const length = library.read(list, 'dtv_slotinfo_list_len');
    if (isAbsent(length)) return length;
    if (left < length) {
      const slot = list + slots.offset + left * size;
      const owner = library.read(slot, 'dtv_slotinfo_map');
      if (isAbsent(owner)) return owner;
      // The core was taken in the middle of a load.
      if (owner !== map)
        return absent('unreadable', 'the dynamic linker was changing its list of thread-local blocks');
      return library.read(slot, 'dtv_slotinfo_gen');
    }
    left -= length;
    list = library.read(list, 'dtv_slotinfo_list_next');
  }
  return isAbsent(list)
    ? list
    : absent('unreadable', `the dynamic linker has no thread-local block number ${id}`);
}

/** `_dl_tls_dtv_slotinfo_list`, a field of the dynamic linker's `_rtld_global`. */
function slotLists(snapshot: Snapshot, library: ThreadLibrary): bigint | Absent {
  for (const module of snapshot.modules.modules) {
    if (!/^ld[-.]/.test(module.path.replace(/.*\//, ''))) continue;
    const global = symbolAddress(module, '_rtld_global');
    if (global === undefined) continue;
    const field = library.field('rtld_global__dl_tls_dtv_slotinfo_list');
    return isAbsent(field) ? field : readInteger(snapshot, global + field.offset, 8);
  }
  return absent('unsupported', 'the dynamic linker does not say where it keeps thread-local blocks');
}
