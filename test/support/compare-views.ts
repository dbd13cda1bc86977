/** Compares what we show of types of C++ with what gdb's printers of libstdc++ show of the same core: see gdb-printers.py. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ValueDocument } from '../../controller/types/value-document.js';
import { repositoryRoot } from './paths.js';

/** A number or an address, as text. */
export type Shown = string | number | null | ShownObject;

export interface ShownObject {
  readonly text?: string;
  readonly list?: readonly Shown[];
  readonly map?: readonly (readonly [Shown, Shown])[];
  readonly fields?: readonly Shown[];
  readonly held?: Shown;
  readonly pointer?: string;
  /** Owners and observers; null where there are none, or the object is gone. */
  readonly counts?: readonly [number, number] | null;
  /** Bits that are set. */
  readonly set?: readonly number[];
  /** Of an atomic, as gdb prints it. */
  readonly shown?: string;
  readonly skipped?: string;
}

export type ShownFrames = Readonly<Record<string, Readonly<Record<string, Shown>>>>;

/** Locals of some functions of a core. */
export function gdbShows(program: string, core: string, functions: readonly string[]): ShownFrames {
  const folder = mkdtempSync(join(tmpdir(), 'gdb-printers-'));
  try {
    const out = join(folder, 'shown.json');
    const settings = [
      'set debuginfod enabled off',
      `set $dump = "${out}"`,
      `set $functions = "${functions.join(',')}"`,
    ].flatMap((each) => ['-iex', each]);
    const script = join(repositoryRoot, 'test', 'support', 'gdb-printers.py');
    const run = spawnSync('gdb', ['-q', '-nx', '-batch', ...settings, program, core, '-x', script], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (!existsSync(out)) throw new Error(`gdb showed nothing: ${run.stdout}${run.stderr}`);
    const shown: unknown = JSON.parse(readFileSync(out, 'utf8'));
    if (!isFrames(shown)) throw new Error(`gdb showed no frames: ${run.stderr}`);
    return shown;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isFrames(shown: unknown): shown is ShownFrames {
  return typeof shown === 'object' && shown !== null;
}

/** The differences between gdb's and ours, each with where it is; `skip` hears what gdb cannot show. */
export function compareShown(
  where: string,
  theirs: Shown,
  ours: ValueDocument,
  skip: (what: string) => void,
): string[] {
  const differs = (what: string): string[] => [`${where}: gdb ${JSON.stringify(theirs)}; ours ${what}`];
  if (theirs === null || typeof theirs !== 'object') {
    const own = ours.value ?? ours.text ?? ours.absent?.detail;
    const same = typeof theirs === 'number' ? Number(own) === theirs : own === theirs;
    return same ? [] : differs(`${own}`);
  }
  if (theirs.skipped !== undefined) {
    skip(`${where}: ${theirs.skipped}`);
    return [];
  }
  if (theirs.text !== undefined) {
    const same = ours.text === theirs.text && ours.kind === 'string';
    return same ? [] : differs(`${ours.kind} ${JSON.stringify(ours.text)}`);
  }
  if (theirs.list !== undefined) return compareLists(where, theirs.list, ours, skip);
  if (theirs.map !== undefined) {
    const elements = (ours.elements ?? []).flatMap((entry) => entry.fields ?? []);
    return compareLists(
      where,
      theirs.map.flat(),
      { ...ours, elements, length: 2 * (ours.length ?? 0) },
      skip,
    );
  }
  if (theirs.held !== undefined) {
    const held = ours.fields?.[0];
    if (ours.kind !== 'variant') return differs(ours.kind);
    if (theirs.held === null || held === undefined)
      return theirs.held === null && held === undefined ? [] : differs(JSON.stringify(ours));
    return compareShown(`${where}.held`, theirs.held, held, skip);
  }
  if (theirs.set !== undefined) {
    const set = (ours.elements ?? []).flatMap((bit, i) => (bit.value === 'true' ? [i] : []));
    const shown = theirs.set.filter((bit) => bit < (ours.elements?.length ?? 0));
    return JSON.stringify(set) === JSON.stringify(shown) ? [] : differs(`bits ${set.join(' ')}`);
  }
  if (theirs.pointer !== undefined) return comparePointers(theirs, ours, differs);
  if (theirs.shown !== undefined) {
    const isOut = ours.absent?.reason === 'optimized-out';
    const own = [ours.text, ours.value, ...(isOut ? ['<optimized out>'] : [])];
    return own.includes(theirs.shown) ? [] : differs(`${ours.text} ${ours.value}`);
  }
  return compareFields(where, theirs.fields ?? [], ours, skip);
}

/** What the script shows of one container. */
const maxShown = 200;

function comparePointers(
  theirs: ShownObject,
  ours: ValueDocument,
  differs: (what: string) => string[],
): string[] {
  const counts = theirs.counts ?? undefined;
  const text = counts === undefined ? undefined : `{use_count=${counts[0]}, weak_count=${counts[1]}}`;
  if (text !== undefined && ours.text !== text) return differs(`${ours.text}`);
  // Of an object that is gone gdb shows where it was; to us it is no object any more.
  const isGone = ours.text?.startsWith('{use_count=0') === true && counts === undefined;
  return ours.value === theirs.pointer || (isGone && ours.value === '0x0') ? [] : differs(`${ours.value}`);
}

function compareLists(
  where: string,
  theirs: readonly Shown[],
  ours: ValueDocument,
  skip: (what: string) => void,
): string[] {
  const elements = ours.elements ?? [];
  const whole =
    theirs.length === elements.length || (theirs.length > elements.length && ours.absent === undefined);
  const length = ours.length ?? elements.length;
  const isTrue = theirs.length === length || theirs.length >= maxShown;
  if (ours.absent !== undefined || !whole || !isTrue)
    return [`${where}: gdb has ${theirs.length} elements, ours ${elements.length}: ${ours.absent?.detail}`];
  return elements.flatMap((element, i) => {
    const shown = theirs[i];
    // gdb has bits as numbers.
    const bit = typeof shown === 'number' && element.kind === 'bool' ? `${shown === 1}` : shown;
    return compareShown(`${where}[${i}]`, bit ?? null, element, skip);
  });
}

/** What gdb has no printer for it shows as the structure that it is; ours may be the one value in it. */
function compareFields(
  where: string,
  theirs: readonly Shown[],
  ours: ValueDocument,
  skip: (what: string) => void,
): string[] {
  const isEmpty = (shown: Shown): boolean =>
    typeof shown === 'object' && shown?.fields !== undefined && shown.fields.every((each) => isEmpty(each));
  const [only, ...others] = theirs.filter((each) => !isEmpty(each));
  if (ours.fields === undefined && others.length === 0 && only !== undefined)
    return compareShown(where, only, ours, skip);
  const fields = ours.fields ?? [];
  // Of an object of no bytes gdb does not say that it is nowhere.
  const isNothing = ours.length === 0 || ours.absent?.reason === 'optimized-out';
  if (ours.kind === 'slice' && theirs.every(isEmpty) && isNothing) return [];
  if (fields.length !== theirs.length)
    return [`${where}: gdb has ${theirs.length} fields; ours ${JSON.stringify(ours).slice(0, 300)}`];
  return fields.flatMap((field, i) => compareShown(`${where}.${field.name}`, theirs[i] ?? null, field, skip));
}
