/** What llvm-dwarfdump says of debug sections: the other opinion in tests of their parsers. */
import { execFileSync } from 'node:child_process';

export interface DumpedDie {
  readonly offset: number;
  /** `DW_TAG_variable`. */
  readonly tag: string;
  /** Attributes by name, as printed, lists over several lines joined. */
  readonly attributes: ReadonlyMap<string, string>;
}

function dump(program: string, ...args: readonly string[]): string[] {
  return execFileSync('llvm-dwarfdump', [...args, program], { encoding: 'utf8', maxBuffer: 1 << 30 }).split(
    '\n',
  );
}

/** Every DIE, in the order of the file. Offsets in `.debug_types` count from the end of `.debug_info`, which has `infoBytes`. */
export function dumpDies(program: string, infoBytes: number): DumpedDie[] {
  return [...dumpSection(program, '--debug-info', 0), ...dumpSection(program, '--debug-types', infoBytes)];
}

function dumpSection(program: string, section: string, base: number): DumpedDie[] {
  const dies: { offset: number; tag: string; attributes: Map<string, string> }[] = [];
  let attribute = '';
  for (const line of dump(program, section)) {
    const die = /^(0x[0-9a-f]+): +(DW_TAG_\S+)/.exec(line);
    if (die !== null) {
      dies.push({ offset: Number(die[1]) + base, tag: die[2] ?? '', attributes: new Map() });
      continue;
    }
    const attributes = dies.at(-1)?.attributes;
    const found = /^ +(DW_AT_\S+)\t\((.*)$/.exec(line);
    // Headers of units begin with their offset, and end what belongs to the DIE before.
    if (attributes === undefined || line.trim() === '' || line.startsWith('0x')) continue;
    if (found !== null) {
      attribute = found[1] ?? '';
      attributes.set(attribute, found[2] ?? '');
    } else {
      attributes.set(attribute, `${attributes.get(attribute) ?? ''}\n${line.trim()}`);
    }
  }
  return dies;
}

/** `[start, end)` of every range that an attribute's text lists. */
export function dumpedRanges(text: string): (readonly [start: number, end: number])[] {
  return [...text.matchAll(/\[(0x[0-9a-f]+), +(0x[0-9a-f]+)\)/g)].map(
    ([, start, end]) => [Number(start), Number(end)] as const,
  );
}

export interface DumpedRow {
  readonly address: number;
  readonly line: number;
  readonly column: number;
  readonly file: number;
  readonly discriminator: number;
  /** `is_stmt prologue_end`. */
  readonly flags: string;
}

/** Rows of all line tables, in the order of the file. */
export function dumpLines(program: string): DumpedRow[] {
  return dump(program, '--debug-line').flatMap((line) => {
    const row = /^(0x[0-9a-f]{16}) +(\d+) +(\d+) +(\d+) +\d+ +(\d+) +(.*)$/.exec(line);
    if (row === null) return [];
    const [, address, number, column, file, discriminator, flags] = row;
    return [
      {
        address: Number(address),
        line: Number(number),
        column: Number(column),
        file: Number(file),
        discriminator: Number(discriminator),
        flags: (flags ?? '').trim(),
      },
    ];
  });
}

export function dumpAddressRanges(program: string): (readonly [start: number, end: number])[] {
  return dumpedRanges(
    dump(program, '--debug-aranges')
      .filter((line) => line.startsWith('['))
      .join('\n'),
  );
}
