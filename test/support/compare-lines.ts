/** What our symbols and binutils' addr2line say of the addresses of a program's line tables, as readelf lists them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SourceFrame } from '../../controller/symbols/module-symbols.js';
import { linkAddress } from '../../format/address.js';
import { openSymbols } from './open-symbols.js';

export interface LineComparison {
  readonly compared: number;
  /**
   * Where addr2line takes the last row at or before an address and gdb, as we do, another one: of several at one address the one that
   * begins a statement, and of rows that say the same line the first.
   */
  readonly asGdb: number;
  readonly differences: readonly string[];
}

export interface LineOptions {
  /** One address of so many. */
  readonly every: number;
  /** binutils 2.40 does not find inlined functions whose ranges are in the tables of DWARF 5 as clang writes them, or in units of dwz. */
  readonly tool?: 'addr2line' | 'llvm-addr2line';
}

export function compareLines(program: string, options: LineOptions): LineComparison {
  const addresses = rowAddresses(program).filter((_, i) => i % options.every === 0);
  const theirs = addr2line(program, addresses, options.tool ?? 'addr2line');
  const symbols = openSymbols(program);
  const other: {
    readonly address: bigint;
    readonly ours: readonly string[];
    readonly theirs: readonly string[];
  }[] = [];
  for (const [i, address] of addresses.entries()) {
    const stack = symbols.sourceStack(linkAddress(address)).map(positionText);
    const ours = stack.length === 0 ? [unknown] : stack;
    const answer = theirs[i] ?? [];
    if (ours.join(' < ') !== answer.join(' < ')) other.push({ address, ours, theirs: answer });
  }
  const gdb = gdbLines(
    program,
    other.map(({ address }) => address),
  );
  const differences = other.flatMap(({ address, ours, theirs: answer }, i) => {
    const outer = ours.slice(1).join(' < ') === answer.slice(1).join(' < ');
    if (outer && ours[0] === gdb[i]) return [];
    return [
      `0x${address.toString(16)}: addr2line ${answer.join(' < ')}; gdb ${gdb[i]}; ours ${ours.join(' < ')}`,
    ];
  });
  return { compared: addresses.length, asGdb: other.length - differences.length, differences };
}

const unknown = '??:?';

const basename = (path: string): string => path.replace(/.*\//, '');

function positionText({ file, line }: SourceFrame): string {
  return `${file === undefined ? '??' : basename(file)}:${line === undefined || line === 0 ? '?' : line}`;
}

/** Of rows and of ends of sequences, ascending, each once. */
function rowAddresses(program: string): bigint[] {
  const run = spawnSync('readelf', ['--debug-dump=decodedline', '-W', program], {
    encoding: 'utf8',
    maxBuffer: 1 << 29,
  });
  const row = /^\S.*?\s(?:\d+|-)\s+(0x[0-9a-f]+)(?:\[\d+\])?(?:\s|$)/gm;
  const addresses = new Set([...run.stdout.matchAll(row)].map(([, address = '0']) => BigInt(address)));
  return [...addresses].toSorted((a, b) => (a < b ? -1 : 1));
}

/** `info line` of each address. */
function gdbLines(program: string, addresses: readonly bigint[]): string[] {
  if (addresses.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'lines-'));
  try {
    const script = join(folder, 'lines.py');
    writeFileSync(
      script,
      `import gdb
for address in [${addresses.join(',')}]:
    found = gdb.find_pc_line(address)
    print("LINE %s:%s" % (found.symtab.filename if found.symtab else "??", found.line or "?"))
`,
    );
    const settings = ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off', '-x', script, program];
    const run = spawnSync('gdb', settings, { encoding: 'utf8', maxBuffer: 1 << 29 });
    const lines = run.stdout.split('\n').filter((line) => line.startsWith('LINE '));
    return lines.map((line) => tidy(line.slice('LINE '.length)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For each address its positions, innermost inlined function first: `file:line`. */
function addr2line(program: string, addresses: readonly bigint[], tool: string): string[][] {
  const run = spawnSync(tool, ['-a', '-i', '-e', program], {
    input: addresses.map((address) => `0x${address.toString(16)}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 29,
  });
  const answers: string[][] = [];
  for (const line of run.stdout.split('\n')) {
    if (/^0x[0-9a-f]+$/.test(line)) answers.push([]);
    else if (line !== '') answers.at(-1)?.push(tidy(line));
  }
  return answers;
}

function tidy(line: string): string {
  const text = line.replace(/ \(discriminator \d+\)$/, '');
  const colon = text.lastIndexOf(':');
  const number = text.slice(colon + 1);
  return `${basename(text.slice(0, colon))}:${number === '0' ? '?' : number}`;
}
