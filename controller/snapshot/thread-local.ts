/** Thread-local variables. Those of the main program lie right below the thread pointer (ELF TLS ABI, variant II). */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { PT } from '../../format/elf/constants.js';
import { readUserRegister } from '../../format/registers/x86-64.js';
import { dynamicThreadLocalBlock } from './dynamic-thread-local.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';

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
  if (note?.unknownRegisters.includes('fs_base') === true)
    return absent('not-captured', 'thread-local variables need register fs_base, which was not captured');
  const { elf } = module;
  if (isAbsent(elf)) return elf;
  if (module !== snapshot.executable) {
    const block = dynamicThreadLocalBlock(snapshot, thread, module);
    return isAbsent(block) ? block : BigInt.asUintN(64, block + offset);
  }
  const block = elf.segments.find((segment) => segment.type === PT.PT_TLS);
  if (block === undefined)
    return absent('no-debug-info', `"${module.path}" has no segment for thread-local variables`);
  const align = block.align > 0n ? block.align : 1n;
  // The thread pointer is aligned as the block is, and the block's end touches it, as far as alignment allows.
  const misaligned = BigInt.asUintN(64, -(block.virtualAddress % align)) % align;
  const size = roundUp(block.memorySize - misaligned, align) + misaligned;
  return BigInt.asUintN(64, readUserRegister(registers.registers, 'fs_base') - size + offset);
}

function roundUp(value: bigint, align: bigint): bigint {
  return ((value + align - 1n) / align) * align;
}
