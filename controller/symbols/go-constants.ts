/** Constants of Go, which the compiler lists with their packages (DW_TAG_constant). */
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { Unit } from '../dwarf/unit.js';
import type { DebugFiles } from './debug-files.js';
import { viewLanguage } from './origin.js';

export class GoConstants {
  readonly #files: DebugFiles;
  readonly #ofUnit = new Map<Unit, ReadonlyMap<string, Die>>();

  constructor(files: DebugFiles) {
    this.#files = files;
  }

  /** By its whole name: `main.High`, `example.com/log.Debug`. */
  find(name: string): Die | undefined {
    const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
    if (dot <= 0) return undefined;
    const path = name.slice(0, dot);
    for (const unit of this.#files.units) {
      if (viewLanguage(unit.language) !== 'go' || unit.root.name !== path) continue;
      const found = this.#constants(unit).get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #constants(unit: Unit): ReadonlyMap<string, Die> {
    let known = this.#ofUnit.get(unit);
    if (known === undefined) {
      const found = new Map<string, Die>();
      for (const child of unit.root.children()) {
        const { name } = child;
        if (child.tag === DW_TAG.constant && name !== undefined && child.has(DW_AT.const_value)) {
          found.set(name, child);
        }
      }
      this.#ofUnit.set(unit, (known = found));
    }
    return known;
  }
}
