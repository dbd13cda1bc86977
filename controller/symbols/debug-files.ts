/**
 * All files that have debug information of one module: the main one, the `.dwo` files or the package (`.dwp`) of split units, and the
 * supplementary file of dwz. Each is opened when something in it is asked for. A file that is missing, or is not the one that is meant,
 * costs what is in it and nothing else; {@link problems} says so.
 */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { mayHaveOldSkeletons } from '../dwarf/abbrev-search.js';
import { DW_AT, DW_TAG, DW_UT } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { type DebugSections, sectionsOf } from '../dwarf/sections.js';
import { supplementaryChecksum, supplementaryLink } from '../dwarf/supplementary.js';
import { DebugInfo, type InfoLinks, type Unit } from '../dwarf/unit.js';
import type { DebugFileOpener } from './debug-file-opener.js';
import { DebugPackage, dwoSections } from './debug-package.js';

export class DebugFiles {
  readonly main: DebugInfo;
  /** The file of {@link main}. */
  readonly elf: ElfFile;
  readonly #opener: DebugFileOpener;
  /** In order of their keys. */
  readonly #infos: DebugInfo[] = [];
  #nextKey = 0;
  readonly #split = new Map<Unit, Unit | Absent>();
  readonly #dwoFiles = new Map<string, DebugInfo>();
  #package: DebugPackage | undefined;
  #packageAsked = false;
  readonly #problems = new Set<string>();
  readonly #imports = new Map<Unit, ReadonlySet<Unit>>();
  #units: readonly Unit[] | undefined;

  /** `file`: what messages call the main one. */
  constructor(elf: ElfFile, file: string, opener: DebugFileOpener) {
    this.elf = elf;
    this.#opener = opener;
    const sections = sectionsOf(elf, file);
    this.main = this.#add(sections, { supplementary: () => this.#openSupplementary() });
  }

  /** What could not be opened, and why. */
  get problems(): readonly string[] {
    return [...this.#problems];
  }

  #add(sections: DebugSections, links: InfoLinks): DebugInfo {
    const info = new DebugInfo(sections, { ...links, firstKey: this.#nextKey });
    this.#nextKey += info.bytes.length + 1;
    this.#infos.push(info);
    return info;
  }

  /** The DIE that {@link Die.key} names. */
  die(key: number): Die {
    let low = 0;
    let high = this.#infos.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#infos[middle]?.firstKey ?? 0) <= key) low = middle;
      else high = middle;
    }
    const info = this.#infos[low] ?? this.main;
    return info.die(key - info.firstKey);
  }

  /** Units that have DIEs beyond their own, of all files: opens every `.dwo` file. Skeletons whose file is missing are left out. */
  get units(): readonly Unit[] {
    if (this.#units === undefined) {
      const found = new Set<Unit>();
      for (const unit of this.main.units) {
        const resolved = this.resolve(unit);
        if (mayBeSkeleton(resolved) && resolved.dwoName !== undefined) continue;
        found.add(resolved);
        if (resolved !== unit) for (const each of resolved.info.units) if (each.isTypeUnit) found.add(each);
      }
      for (const unit of this.#package?.typeUnits() ?? []) found.add(unit);
      for (const unit of this.main.supplementary?.units ?? []) found.add(unit);
      this.#units = [...found];
    }
    return this.#units;
  }

  /** The split unit of a skeleton; any other unit, and a skeleton whose file is missing, is itself. */
  resolve(unit: Unit): Unit {
    const found = this.split(unit);
    return found === undefined || isAbsent(found) ? unit : found;
  }

  /** Why the DIEs of a unit are not there; undefined when they are. */
  missing(unit: Unit): Absent | undefined {
    const found = this.split(unit);
    return found !== undefined && isAbsent(found) ? found : undefined;
  }

  /** Undefined for a unit that has its own DIEs. */
  split(unit: Unit): Unit | Absent | undefined {
    const known = this.#split.get(unit);
    if (known !== undefined) return known;
    if (!mayBeSkeleton(unit)) return undefined;
    const { dwoName } = unit;
    if (dwoName === undefined) return undefined;
    let found: Unit | Absent;
    try {
      found = this.#findSplit(unit, dwoName);
    } catch (error) {
      if (!(error instanceof StillframeError)) throw error;
      found = absent('no-debug-info', error.message);
    }
    if (isAbsent(found)) this.#problems.add(found.detail);
    this.#split.set(unit, found);
    return found;
  }

  #findSplit(skeleton: Unit, dwoName: string): Unit | Absent {
    const id = skeleton.dwoId;
    if (id === undefined)
      return absent('no-debug-info', `unit "${dwoName}" does not say which unit of it is meant`);
    const packed = this.#openPackage()?.unit(id);
    if (packed !== undefined) return paired(packed, id, skeleton) ?? stale(packed, id);
    let found: DebugInfo | undefined;
    for (const elf of this.#opener.split(dwoName, skeleton.compilationDirectory)) {
      found = this.#dwoFile(elf);
      const unit = paired(found, id, skeleton);
      if (unit !== undefined) return unit;
    }
    if (found !== undefined) return stale(found, id);
    const detail = `"${dwoName}", compiled in "${skeleton.compilationDirectory}", was not found`;
    return absent('no-debug-info', detail);
  }

  #dwoFile(elf: ElfFile): DebugInfo {
    let info = this.#dwoFiles.get(elf.source.name);
    if (info === undefined) {
      info = this.#add(dwoSections(elf), { isSplit: true });
      this.#dwoFiles.set(elf.source.name, info);
    }
    return info;
  }

  #openPackage(): DebugPackage | undefined {
    if (!this.#packageAsked) {
      this.#packageAsked = true;
      try {
        const elf = this.#opener.package();
        if (elf !== undefined) this.#package = new DebugPackage(elf, (...args) => this.#add(...args));
      } catch (error) {
        if (!(error instanceof StillframeError)) throw error;
        this.#problems.add(error.message);
      }
    }
    return this.#package;
  }

  #openSupplementary(): DebugInfo | undefined {
    try {
      const link = supplementaryLink(this.elf);
      if (link === undefined) return undefined;
      for (const elf of this.#opener.supplementary(link.path, link.buildId)) {
        if ((elf.buildId ?? supplementaryChecksum(elf)) !== link.buildId) continue;
        return this.#add(sectionsOf(elf, elf.source.name), {});
      }
      this.#problems.add(`"${link.path}" with build id ${link.buildId} was not found`);
      return undefined;
    } catch (error) {
      if (!(error instanceof StillframeError)) throw error;
      this.#problems.add(error.message);
      return undefined;
    }
  }

  /** The units that a unit imports (DW_TAG_imported_unit), also by way of others: dwz shares DIEs so. */
  importsOf(unit: Unit): ReadonlySet<Unit> {
    let imports = this.#imports.get(unit);
    if (imports === undefined) {
      const found = new Set<Unit>([unit]);
      for (const each of found) for (const imported of directImports(each)) found.add(imported);
      found.delete(unit);
      this.#imports.set(unit, (imports = found));
    }
    return imports;
  }
}

/** Without reading a DIE of it (DWARF5 7.5.1.2); before version 5 units of other kinds of files do not mention `.dwo` files at all. */
function mayBeSkeleton(unit: Unit): boolean {
  if (unit.version >= 5) return unit.header.unitType === DW_UT.skeleton;
  return mayHaveOldSkeletons(unit.sections);
}

/** The unit of that id, which from now on is the skeleton's. */
function paired(info: DebugInfo, id: bigint, skeleton: Unit): Unit | undefined {
  const unit = info.units.find((each) => !each.isTypeUnit && each.dwoId === id);
  if (unit === undefined) return undefined;
  unit.skeleton = skeleton;
  for (const each of info.units) if (each.isTypeUnit && each.skeleton === undefined) each.skeleton = skeleton;
  return unit;
}

function stale(info: DebugInfo, id: bigint): Absent {
  const detail = `"${info.sections.file}" has no unit of id 0x${id.toString(16)}: it is of another build`;
  return absent('no-debug-info', detail);
}

/** NB: dwz writes them first, and only at the top level. */
function* directImports(unit: Unit): Generator<Unit> {
  for (const child of unit.root.children()) {
    if (child.tag !== DW_TAG.imported_unit) continue;
    const imported = child.reference(DW_AT.import);
    if (imported !== undefined) yield imported.unit;
  }
}
