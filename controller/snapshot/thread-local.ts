/** Thread-local variables of the main program: their block lies at a fixed place from the thread pointer. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { PT } from '../../format/elf/constants.js';
import type { SnapshotModule } from './module.js';
import { stateOf, type Snapshot, type SnapshotThread } from './open.js';

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
  if (module !== snapshot.executable)
    return absent('unsupported', `thread-local variables of a shared library ("${module.path}")`);
  const block = elf.segments.find((segment) => segment.type === PT.PT_TLS);
  if (block === undefined)
    return absent('no-debug-info', `"${module.path}" has no segment for thread-local variables`);
  return BigInt.asUintN(64, pointer + snapshot.architecture.threadLocalOffset(block) + offset);
}
