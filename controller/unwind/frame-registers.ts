/** The registers of one frame by DWARF number: those of the thread for the innermost, recovered ones for its callers. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';

export interface RegisterValue {
  readonly value: bigint;
  /** Of the memory that it was saved in; of the thread's registers when it was never saved. */
  readonly provenance: Provenance;
  /** Where a callee saved it. */
  readonly savedAt?: bigint;
}

export interface RegisterBytes {
  readonly bytes: Uint8Array;
  readonly provenance: Provenance;
}

export class FrameRegisters {
  readonly #values: ReadonlyMap<number, RegisterValue | Absent>;
  /** Vector and floating point registers. */
  readonly #wide: ReadonlyMap<number, RegisterBytes>;
  readonly #nameOf: (dwarfNumber: number) => string;
  readonly #otherwise: string;

  /** `otherwise` says of registers that are in neither map why they are not. */
  constructor(options: {
    readonly values: ReadonlyMap<number, RegisterValue | Absent>;
    readonly wide?: ReadonlyMap<number, RegisterBytes>;
    readonly nameOf: (dwarfNumber: number) => string;
    readonly otherwise: string;
  }) {
    this.#values = options.values;
    this.#wide = options.wide ?? new Map();
    this.#nameOf = options.nameOf;
    this.#otherwise = options.otherwise;
  }

  /** A register of 64 bits. */
  get(dwarfNumber: number): RegisterValue | Absent {
    return this.#values.get(dwarfNumber) ?? this.#missing(dwarfNumber);
  }

  value(dwarfNumber: number): bigint | Absent {
    const register = this.get(dwarfNumber);
    return isAbsent(register) ? register : register.value;
  }

  /** All bytes of a register, little-endian: 8, or 16 of vector and x87 registers. */
  bytes(dwarfNumber: number): RegisterBytes | Absent {
    const wide = this.#wide.get(dwarfNumber);
    if (wide !== undefined) return wide;
    const register = this.get(dwarfNumber);
    if (isAbsent(register)) return register;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, register.value, true);
    return { bytes, provenance: register.provenance };
  }

  /** The same, but for some. */
  with(changed: ReadonlyMap<number, RegisterValue | Absent>): FrameRegisters {
    return new FrameRegisters({
      values: new Map([...this.#values, ...changed]),
      wide: this.#wide,
      nameOf: this.#nameOf,
      otherwise: this.#otherwise,
    });
  }

  #missing(dwarfNumber: number): Absent {
    return absent('optimized-out', `register ${this.#nameOf(dwarfNumber)} ${this.#otherwise}`);
  }
}
