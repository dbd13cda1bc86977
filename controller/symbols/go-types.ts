/** Types of Go by the descriptor that the runtime has of each: what interfaces name their dynamic types by (cmd/link/internal/ld/dwarf.go). */
import { type LinkAddress } from '../../format/address.js';
import { DW_AT } from '../dwarf/constants.js';
import { Die } from '../dwarf/die.js';
import { visitDies } from '../dwarf/die-visit.js';
import { toPc } from '../dwarf/sections.js';
import type { Unit } from '../dwarf/unit.js';
import { sizeOf } from '../types/layout.js';
import type { Member, Type } from '../types/type.js';
import type { ModuleContext } from './module-context.js';
import { once } from './once.js';
import { isGo } from './origin.js';

interface Place {
  readonly unit: Unit;
  readonly offset: number;
}

/** Descriptors of one module; a program has tens of thousands at the most. */
const maxDescriptors = 4_000_000;
/** Of variables that a function captured. */
const maxClosureBytes = 65_536;

export class GoTypes {
  readonly #context: ModuleContext;
  #places: ReadonlyMap<number, Place> | undefined;

  constructor(context: ModuleContext) {
    this.#context = context;
  }

  /** Undefined where no type of the module has a descriptor there. */
  at(descriptor: LinkAddress): Type | undefined {
    const place = this.#all().get(toPc(descriptor));
    const die = place === undefined ? undefined : Die.at(place.unit, place.offset);
    return die === undefined ? undefined : this.#context.types.typeAt(die);
  }

  /** DW_AT_go_closure_offset, since Go 1.22: where in the closure each variable is that a function captured, itself or by `&` its address. */
  closureOf(code: LinkAddress): Type | undefined {
    const pc = toPc(code);
    const found = this.#context.functionAt(pc);
    if (found?.entry !== pc || !isGo(found.die)) return undefined;
    const members: Member[] = [];
    let byteSize = 8;
    for (const child of found.die.children()) {
      const byteOffset = child.size(DW_AT.go_closure_offset);
      const { name } = child;
      if (byteOffset === undefined || byteOffset > maxClosureBytes || name === undefined) continue;
      const type = once(() => this.#context.types.typeOf(child));
      members.push({ name, type, byteOffset, base: false });
      byteSize = Math.max(byteSize, byteOffset + (sizeOf(type()) ?? 0));
    }
    if (members.length === 0) return undefined;
    const name = found.die.name ?? 'closure';
    return { kind: 'struct', name, tagless: true, byteSize, incomplete: false, members: () => members };
  }

  /** Every type is looked at once: their names are not the runtime's, which leaves out the paths of packages. */
  #all(): ReadonlyMap<number, Place> {
    if (this.#places !== undefined) return this.#places;
    const places = new Map<number, Place>();
    this.#places = places;
    const start = this.#context.elfSymbols.find('runtime.types');
    const end = this.#context.elfSymbols.find('runtime.etypes');
    if (start === undefined || end === undefined) return places;
    const [first, size] = [Number(start.value), Number(end.value - start.value)];
    for (const unit of this.#context.files.units) {
      if (!isGo(unit.root)) continue;
      visitDies(unit, (offset, abbreviation) => {
        if (!abbreviation.attributes.includes(DW_AT.go_runtime_type)) return;
        const descriptor = Number(Die.at(unit, offset)?.address(DW_AT.go_runtime_type) ?? 0n);
        if (descriptor === 0 || places.size >= maxDescriptors) return;
        // NB: most are offsets from where the descriptors begin, but those of the linker's own types (`uintptr`) are addresses.
        const at = descriptor < size ? first + descriptor : descriptor;
        if (!places.has(at)) places.set(at, { unit, offset });
      });
    }
    return places;
  }
}
