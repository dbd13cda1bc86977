/**
 * Thread-local variables of shared libraries: the thread's dynamic thread vector has a block for each module (ELF TLS ABI 3.2). Where glibc
 * keeps what is in its structures it says itself, in `_thread_db_*` descriptors that are made for debuggers (nptl_db/structs.def): no
 * version of it is assumed. The walk is that of nptl_db/td_thr_tlsbase.c.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, toRuntime } from '../../format/address.js';
import { readUserRegister } from '../../format/registers/x86-64.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';

/** As `db_desc_t`: a field's offset, and the distance of elements where it is an array. */
interface Field {
  readonly offset: bigint;
  readonly elementBytes: bigint;
}

/** Chunks of glibc's list of modules with thread-local storage. */
const maxChunks = 1000;
const unallocated = (1n << 64n) - 1n;

export function dynamicThreadLocalBlock(
  snapshot: Snapshot,
  thread: SnapshotThread,
  module: SnapshotModule,
): bigint | Absent {
  if (thread.registers === undefined) return absent('not-captured', 'its registers were not captured');
  return new Walk(snapshot).block(readUserRegister(thread.registers.registers, 'fs_base'), module);
}

/** Thrown within a walk, and nowhere else: what it needs is not there. */
class Missing extends Error {
  readonly absent: Absent;

  constructor(reason: Absent) {
    super(reason.detail);
    this.absent = reason;
  }
}

class Walk {
  readonly #snapshot: Snapshot;

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
  }

  block(threadPointer: bigint, module: SnapshotModule): bigint | Absent {
    try {
      const id = this.#word(this.#linkMap(module) + this.#field('link_map_l_tls_modid').offset);
      if (id === 0n)
        throw new Missing(absent('no-debug-info', `"${module.path}" has no thread-local storage`));
      const vector = this.#word(threadPointer + this.#field('pthread_dtvp').offset);
      const { offset, elementBytes } = this.#field('dtv_dtv');
      const entries = vector + offset;
      const counter = this.#field('dtv_t_counter').offset;
      // The entry before the first says how many there are; the first, of which generation of modules they are.
      const isOld = this.#word(entries + counter) < this.#generation(id);
      if (isOld || id > this.#word(entries - elementBytes + counter)) throw notYet(module);
      const block = this.#word(entries + id * elementBytes + this.#field('dtv_t_pointer_val').offset);
      if (block === unallocated || block === 0n) throw notYet(module);
      return block;
    } catch (thrown) {
      if (thrown instanceof Missing) return thrown.absent;
      throw thrown;
    }
  }

  /** When the module got its number: numbers are given again after dlclose. */
  #generation(id: bigint): bigint {
    const { offset } = this.#field('rtld_global__dl_tls_dtv_slotinfo_list');
    let chunk = this.#word(this.#symbol(loaderName, '_rtld_global') + offset);
    let first = 0n;
    for (let i = 0; i < maxChunks && chunk !== 0n; i++) {
      const length = this.#word(chunk + this.#field('dtv_slotinfo_list_len').offset);
      if (id - first < length) {
        const size = this.#integer(this.#symbol(threadsName, '_thread_db_sizeof_dtv_slotinfo'), 4);
        const slot = chunk + this.#field('dtv_slotinfo_list_slotinfo').offset + (id - first) * size;
        return this.#word(slot + this.#field('dtv_slotinfo_gen').offset);
      }
      first += length;
      chunk = this.#word(chunk + this.#field('dtv_slotinfo_list_next').offset);
    }
    throw new Missing(
      absent('unreadable', `the dynamic linker has no module ${id} with thread-local storage`),
    );
  }

  /** The dynamic linker's `struct link_map` of a module (link.h). */
  #linkMap(module: SnapshotModule): bigint {
    const { maxModules } = this.#snapshot.limits;
    let map = this.#word(this.#symbol(loaderName, '_r_debug') + 8n);
    for (let i = 0; i < maxModules && map !== 0n; i++) {
      const dynamic = this.#word(map + 16n);
      const { start, end } = module.facts;
      if (this.#word(map) === module.bias && dynamic >= start && dynamic < end) return map;
      map = this.#word(map + 24n);
    }
    throw new Missing(absent('unreadable', `the dynamic linker does not list "${module.path}"`));
  }

  #field(name: string): Field {
    const at = this.#symbol(threadsName, `_thread_db_${name}`);
    const bits = this.#integer(at, 4);
    return { offset: BigInt.asIntN(32, this.#integer(at + 8n, 4)), elementBytes: bits / 8n };
  }

  #symbol(file: RegExp, name: string): bigint {
    for (const module of this.#snapshot.modules.modules) {
      if (!file.test(module.path)) continue;
      const symbols = module.symbols();
      const found = isAbsent(symbols) ? undefined : symbols.findSymbol(name);
      if (found !== undefined) return toRuntime(linkAddress(found.address), module.bias);
    }
    throw new Missing(
      absent('unsupported', `thread-local variables of a shared library: no symbol "${name}" in the process`),
    );
  }

  #word(address: bigint): bigint {
    return this.#integer(address, 8);
  }

  #integer(address: bigint, size: number): bigint {
    const read = this.#snapshot.memory.read(BigInt.asUintN(64, address), size);
    if (isAbsent(read)) throw new Missing(read);
    return read.bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
}

const loaderName = /\/ld[-.][^/]*$/;
const threadsName = /\/(libc|libpthread)[-.][^/]*$/;

function notYet(module: SnapshotModule): Missing {
  const detail = `the thread has not used any thread-local variable of "${module.path}" yet: they are not allocated`;
  return new Missing(absent('unreadable', detail));
}
