/**
 * How the C library of a snapshot lays out what thread-local storage needs: fields of its private structs, as it tells debuggers in
 * constants named `_thread_db_*` (glibc nptl_db/structs.def). Read from the very library that was running: nothing is assumed.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { toRuntime } from '../../format/address.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot } from './open.js';

/** A field as `_thread_db_STRUCT_FIELD` describes it; of an array the size of one element. */
export interface LibraryField {
  readonly offset: bigint;
  readonly bytes: bigint;
}

const fieldBytes = 12;
/** The libraries that have had the constants, most likely first. */
const likely = /^(?:libc|libpthread)[.-]/;

export class ThreadLibrary {
  readonly #snapshot: Snapshot;
  readonly #module: SnapshotModule;

  private constructor(snapshot: Snapshot, module: SnapshotModule) {
    this.#snapshot = snapshot;
    this.#module = module;
  }

  /** That of glibc; others say nothing of their structs. */
  static find(snapshot: Snapshot): ThreadLibrary | Absent {
    const rank = (module: SnapshotModule): number => (likely.test(module.path.replace(/.*\//, '')) ? 0 : 1);
    const modules = snapshot.modules.modules.toSorted((a, b) => rank(a) - rank(b));
    for (const module of modules) {
      const library = new ThreadLibrary(snapshot, module);
      if (library.#address('_thread_db_link_map_l_tls_modid') !== undefined) return library;
    }
    return absent(
      'unsupported',
      'no library of the process says how it keeps thread-local storage, as glibc does in _thread_db_link_map_l_tls_modid',
    );
  }

  /** `link_map_l_tls_modid`. */
  field(name: string): LibraryField | Absent {
    const address = this.#address(`_thread_db_${name}`);
    if (address === undefined)
      return absent('unsupported', `"${this.#module.path}" does not describe its ${name}`);
    const read = this.#snapshot.memory.read(address, fieldBytes);
    if (isAbsent(read)) return read;
    const view = new DataView(read.bytes.buffer, read.bytes.byteOffset, fieldBytes);
    // Size in bits, count, offset.
    return { bytes: BigInt(view.getUint32(0, true) >> 3), offset: BigInt(view.getUint32(8, true)) };
  }

  /** `dtv_slotinfo`, in bytes. */
  sizeOf(name: string): bigint | Absent {
    const address = this.#address(`_thread_db_sizeof_${name}`);
    if (address === undefined)
      return absent('unsupported', `"${this.#module.path}" does not say how large its ${name} is`);
    return readInteger(this.#snapshot, address, 4);
  }

  /** The value of a field of at most eight bytes in a struct of the target. */
  read(struct: bigint, name: string): bigint | Absent {
    const field = this.field(name);
    if (isAbsent(field)) return field;
    return readInteger(this.#snapshot, struct + field.offset, Math.min(8, Number(field.bytes)));
  }

  #address(symbol: string): bigint | undefined {
    return symbolAddress(this.#module, symbol);
  }
}

/** Where a module's own symbol is. */
export function symbolAddress(module: SnapshotModule, name: string): bigint | undefined {
  const symbols = module.symbols();
  const found = isAbsent(symbols) ? undefined : symbols.findSymbol(name);
  return found === undefined ? undefined : toRuntime(found.address, module.bias);
}

export function readInteger(snapshot: Snapshot, address: bigint, length: number): bigint | Absent {
  const read = snapshot.memory.read(BigInt.asUintN(64, address), length);
  return isAbsent(read) ? read : read.bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
