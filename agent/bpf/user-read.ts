/** Emits reads of the process's memory. r1 is the destination, r2 the size, r3 the address; r0 becomes 0 when all was read. */
import type { Assembler } from './assembler.js';
import { bpfHelpers } from './helper-calls.js';

/** To the eBPF stack; from a sleepable program memory that is not resident is read too. */
export function emitUserRead(asm: Assembler, sleepable: boolean): void {
  asm.call(sleepable ? bpfHelpers.bpf_copy_from_user : bpfHelpers.bpf_probe_read_user);
}

/**
 * To the record. A kernel with hardened usercopy checks each destination. For memory such as the ring's it walks the tree of all its
 * mappings, under a lock, which takes longer than a small read itself; not so where a read may not sleep. So that is tried first,
 * and only what is not resident is read by the other. `again` sets r1, r2 and r3 once more.
 */
export function emitRecordRead(asm: Assembler, sleepable: boolean, again: () => void): void {
  asm.call(bpfHelpers.bpf_probe_read_user);
  if (!sleepable) return;
  const done = asm.label('read');
  asm.jumpIfImm('eq', 0, 0, done);
  again();
  asm.call(bpfHelpers.bpf_copy_from_user).bind(done);
}
