/** Memory that was read with the stop of a thread, before anybody asked for it: what a condition reads first. */
import type { Absent } from '../../../format/absent.js';
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import type { MemoryBytes, MemoryReader } from '../../../format/memory.js';
import { dwarfRegisterOffset } from '../../../format/registers/x86-64.js';
import { findLeadingRead } from '../../bpf/leading-read.js';
import type { TracedPoint } from './points.js';

/** From a register of the stopped thread. */
export interface ReadAhead {
  /** Of the register, in `user_regs_struct`. */
  readonly registerOffset: number;
  readonly offset: bigint;
  readonly length: number;
}

/** What the conditions of the points begin with; of several the first. */
export function findReadAhead(points: Iterable<TracedPoint>): ReadAhead | undefined {
  for (const { spec } of points) {
    for (const { condition } of spec.plan.sites) {
      if (condition === undefined) continue;
      const read = findLeadingRead(decodeExpression(condition, { addressSize: 8, name: 'condition' }));
      const registerOffset = typeof read?.base === 'number' ? dwarfRegisterOffset(read.base) : undefined;
      if (read === undefined || registerOffset === undefined) continue;
      return { registerOffset, offset: read.offset, length: read.width };
    }
  }
  return undefined;
}

const none = new Uint8Array();

/** Until the thread goes on. */
export class AheadMemory implements MemoryReader {
  readonly #memory: MemoryReader;
  #address = 0n;
  #bytes: Uint8Array = none;

  constructor(memory: MemoryReader) {
    this.#memory = memory;
  }

  /** `bytes` may change when the thread goes on. */
  set(read: { readonly address: bigint; readonly bytes: Uint8Array } | undefined): void {
    this.#address = read?.address ?? 0n;
    this.#bytes = read?.bytes ?? none;
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    if (length > 0 && length <= this.#bytes.length && address === this.#address) {
      // A copy, since what is captured outlives the stop.
      return { bytes: this.#bytes.slice(0, length), provenance: 'at-hit' };
    }
    return this.#memory.read(address, length);
  }
}
