/** Every row that readelf interprets, compared with ours. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import type { CallFrameRow, RegisterRule } from '../../../controller/dwarf/call-frame.js';
import { isAbsent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { dwarfRegisterNames } from '../../../format/registers/x86-64.js';
import { compileFixture } from '../../support/compile.js';

const numbered = (text: string): string => registerName(Number(text.slice(1)));

interface ReadelfRow {
  readonly address: bigint;
  readonly columns: ReadonlyMap<string, string>;
}

interface ReadelfEntry {
  readonly start: bigint;
  readonly end: bigint;
  readonly rows: readonly ReadelfRow[];
}

/** FDEs of the wanted section with their rows; an FDE that readelf prints no rows for has those of its CIE. */
function readelfEntries(path: string, section: string): ReadelfEntry[] {
  const run = spawnSync('readelf', ['--debug-dump=frames-interp', '-W', path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const entries: ReadelfEntry[] = [];
  const cies = new Map<string, ReadelfRow[]>();
  let active = false;
  let header: string[] = [];
  let rows: ReadelfRow[] = [];
  for (const line of run.stdout.split('\n')) {
    if (line.startsWith('Contents of the')) active = line.includes(` ${section} `);
    if (!active) continue;
    const entry =
      /^([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ (CIE|FDE cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+))/.exec(line);
    if (entry) {
      rows = [];
      if (entry[2] === 'CIE') cies.set(BigInt(`0x${entry[1]}`).toString(), rows);
      else {
        const cie = cies.get(BigInt(`0x${entry[3]}`).toString()) ?? [];
        const own = rows;
        const start = BigInt(`0x${entry[4]}`);
        entries.push({
          start,
          end: BigInt(`0x${entry[5]}`),
          get rows() {
            return own.length > 0 ? own : cie.map((row) => ({ ...row, address: start }));
          },
        });
      }
    } else if (line.trim().startsWith('LOC')) header = line.trim().split(/\s+/).slice(1);
    else if (/^[0-9a-f]{16} /.test(line)) {
      // A rule that names another register is printed as `r9 (r9)`, or as `r2` alone.
      const [address, ...cells] = line
        .replaceAll(/ \(\w+\)/g, '')
        .trim()
        .split(/\s+/);
      const columns = new Map(header.map((name, i) => [name, (cells[i] ?? '').replace(/^r\d$/, numbered)]));
      rows.push({ address: BigInt(`0x${address}`), columns });
    }
  }
  return entries;
}

const signed = (value: bigint): string => (value < 0n ? `${value}` : `+${value}`);
const registerName = (register: number): string => dwarfRegisterNames[register] ?? `r${register}`;

function cfaText(row: CallFrameRow): string {
  if (row.cfa.kind === 'expression') return 'exp';
  return `${registerName(row.cfa.register)}${signed(row.cfa.offset)}`;
}

function ruleText(rule: RegisterRule = { kind: 'undefined' }): string {
  switch (rule.kind) {
    case 'undefined':
      return 'u';
    case 'same-value':
      return 's';
    case 'offset':
      return `c${signed(rule.offset)}`;
    case 'value-offset':
      return `v${signed(rule.offset)}`;
    case 'register':
      return registerName(rule.register);
    case 'expression':
      return 'exp';
    case 'value-expression':
    default:
      return 'vexp';
  }
}

function registerOf(column: string): number {
  if (column === 'ra') return 16;
  const named = dwarfRegisterNames.findIndex((name) => name === column);
  return named >= 0 ? named : Number(column.replace(/^r/, ''));
}

/** Differences between readelf and us, at most ten, and how many rows were compared. */
function compare(path: string, section: string): { rows: number; differences: string[] } {
  const table = openCallFrames(openElf(bufferSource(path, readFileSync(path))));
  const differences: string[] = [];
  let count = 0;
  for (const { start, end, rows } of readelfEntries(path, section)) {
    if (start === end) continue;
    for (const [i, { address, columns }] of rows.entries()) {
      const next = rows[i + 1]?.address ?? end;
      // A row of no length is replaced by the next one.
      if (next === address) continue;
      count++;
      for (const at of new Set([address, next - 1n])) {
        const row = table.findRow(linkAddress(at));
        const ours = isAbsent(row)
          ? row.detail
          : [...columns.keys()]
              .map((name) => (name === 'CFA' ? cfaText(row) : ruleText(row.rules.get(registerOf(name)))))
              .join(' ');
        const theirs = [...columns.values()].join(' ');
        if (ours !== theirs && differences.length < 10)
          differences.push(`${at.toString(16)}: readelf ${theirs}, ours ${ours}`);
      }
    }
  }
  return { rows: count, differences };
}

const libc = '/lib/x86_64-linux-gnu/libc.so.6';

describe('rows equal those of readelf', () => {
  test.each([
    ['libc', libc, 10_000],
    ['the dynamic linker', '/lib64/ld-linux-x86-64.so.2', 1000],
    ['the C++ library', '/usr/lib/x86_64-linux-gnu/libstdc++.so.6', 10_000],
  ])('.eh_frame of %s', (_, path, atLeast) => {
    const { rows, differences } = compare(path, '.eh_frame');
    expect(differences).toEqual([]);
    expect(rows).toBeGreaterThan(atLeast);
  });

  const builds = (['gcc', 'clang'] as const).flatMap((cc) =>
    ['-O0', '-O2', '-O2 -fomit-frame-pointer -m64 -static', '-Os -fno-pie -no-pie'].map(
      (flags) => [cc, flags] as const,
    ),
  );
  test.each(builds)('.eh_frame of a program by %s %s', (cc, flags) => {
    const path = compileFixture('frames/alloca.c', { cc, flags: ['-g', ...flags.split(' ')] });
    const { rows, differences } = compare(path, '.eh_frame');
    expect(differences).toEqual([]);
    expect(rows).toBeGreaterThan(20);
  });

  const debugFrames = ['-gdwarf-2', '-gdwarf-3', '-gdwarf-4', '-gdwarf-5', '-gdwarf-5 -gdwarf64'];
  test.each(debugFrames)('.debug_frame of a program by gcc %s', (flags) => {
    const path = compileFixture('frames/alloca.c', {
      cc: 'gcc',
      flags: ['-O2', '-fno-asynchronous-unwind-tables', '-fno-exceptions', ...flags.split(' ')],
    });
    const { rows, differences } = compare(path, '.debug_frame');
    expect(differences).toEqual([]);
    expect(rows).toBeGreaterThan(20);
  });
});
