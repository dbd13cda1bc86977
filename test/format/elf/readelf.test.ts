/** The same files as readelf sees them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import type { ElfFile } from '../../../format/elf/file.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { compileC } from '../../support/compile-c.js';

const source = `
#include <stdio.h>
__thread int counter = 3;
static const char *names[] = {"a", "b"};
int main(int argc, char **argv) { printf("%s %d\\n", names[argc & 1], counter); return 0; }
`;
const compressed = compileC(source, { name: 'compressed', flags: ['-g', '-O1', '-gz=zlib'] });
const files: readonly [string, string][] = [
  ['true', '/bin/true'],
  ['libc', realpathSync('/lib/x86_64-linux-gnu/libc.so.6')],
  ['gcc -g', compileC(source, { name: 'plain' })],
  ['gcc -static', compileC(source, { name: 'static', flags: ['-g', '-static'] })],
  ['gcc -gz', compressed],
  ['gcc -gz=zlib-gnu', compileC(source, { name: 'old', flags: ['-g', '-gz=zlib-gnu'] })],
];

function readelf(...args: readonly string[]): string {
  return execFileSync('readelf', [...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

const hex = (text: string | undefined): bigint => BigInt(`0x${text ?? ''}`);

describe.each(files)('%s', (_, path) => {
  const elf: ElfFile = openElf(bufferSource(path, readFileSync(path)));

  test('header', () => {
    const text = readelf('-h', path);
    expect(elf.entry).toBe(BigInt(/Entry point address:\s+(0x[0-9a-f]+)/.exec(text)?.[1] ?? ''));
    expect(elf.segments.length).toBe(Number(/Number of program headers:\s+(\d+)/.exec(text)?.[1]));
    expect(elf.sections.length).toBe(Number(/Number of section headers:\s+(\d+)/.exec(text)?.[1]));
  });

  test('segments', () => {
    const rows = [
      ...readelf('-lW', path).matchAll(
        /^ {2}\S+ +0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+) 0x([0-9a-f]+) ([R ])([W ])([E ]) 0x([0-9a-f]+)$/gm,
      ),
    ].map(([, offset, address, fileSize, memorySize, r, w, x, align]) => ({
      offset: Number(hex(offset)),
      virtualAddress: hex(address),
      fileSize: Number(hex(fileSize)),
      memorySize: hex(memorySize),
      flags: (r === 'R' ? 4 : 0) | (w === 'W' ? 2 : 0) | (x === 'E' ? 1 : 0),
      align: hex(align),
    }));
    expect(elf.segments.map(({ type: _type, ...rest }) => rest)).toEqual(rows);
  });

  test('sections', () => {
    const rows = [
      ...readelf('-SW', path).matchAll(
        /^ {2}\[ *(\d+)\] (\S*) +\S+ +([0-9a-f]{16}) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) +[A-Zpo]* +(\d+) +(\d+) +\d+$/gm,
      ),
    ].map(([, index, name, address, offset, size, entrySize, link, info]) => ({
      index: Number(index),
      name,
      address: hex(address),
      offset: Number(hex(offset)),
      size: Number(hex(size)),
      entrySize: Number(hex(entrySize)),
      link: Number(link),
      info: Number(info),
    }));
    const ours = elf.sections.map(({ index, name, address, offset, size, entrySize, link, info }) => ({
      index,
      name,
      address,
      offset,
      size,
      entrySize,
      link,
      info,
    }));
    // readelf shows the null section without a name, in columns of its own.
    expect(ours.slice(1)).toEqual(rows.filter((row) => row.index !== 0));
  });

  test('notes and build id', () => {
    const text = readelf('-nW', path);
    expect(elf.buildId).toBe(/Build ID: ([0-9a-f]+)/.exec(text)?.[1]);
    const owners = [...text.matchAll(/^ {2}(\S+) +0x([0-9a-f]+)\t/gm)].map(([, owner, size]) => [
      owner,
      Number(hex(size)),
    ]);
    const ours = elf.notes().map((note) => [note.owner, note.description.length]);
    expect(owners.length).toBeGreaterThan(0);
    // Notes that lie in two segments are shown once for each section.
    for (const note of owners) expect(ours).toContainEqual(note);
  });

  test('symbols', () => {
    const rows = [
      ...readelf('-sW', '--sym-base=10', path).matchAll(
        /^ +\d+: ([0-9a-f]{16}) +(\d+) (\S+) +(\S+) +(\S+) +(\S+)(?: (\S+))?.*$/gm,
      ),
    ].filter((row) => row[1] !== '0000000000000000' || row[7] !== undefined);
    const wanted = new Set(
      rows.map(([, value, size, , , , , name]) => `${hex(value)} ${size} ${(name ?? '').replace(/@.*/, '')}`),
    );
    const ours = new Set(
      elf.symbols().map(({ value, size, name }) => `${value} ${size} ${name.replace(/@.*/, '')}`),
    );
    expect(wanted.size).toBeGreaterThan(10);
    for (const row of wanted) expect(ours, row).toContain(row);
  });

  test('contents of sections', () => {
    for (const name of ['.text', '.debug_info', '.debug_str', '.zdebug_info']) {
      const section = elf.findSection(name);
      if (section === undefined) continue;
      const decompressed = name.startsWith('.zdebug') || (section.flags & 0x800n) !== 0n ? ['-z'] : [];
      const run = spawnSync('readelf', [...decompressed, '-x', name, path], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      const dump = [...run.stdout.matchAll(/^ {2}0x[0-9a-f]+ ((?:[0-9a-f ]{9}){4})/gm)].map(([, row]) =>
        (row ?? '').replaceAll(' ', ''),
      );
      expect(Buffer.from(elf.sectionBytes(name) ?? []).toString('hex')).toBe(dump.join(''));
    }
  });
});

test('compressed sections were met', () => {
  const elf = openElf(bufferSource('x', readFileSync(compressed)));
  expect(elf.findSection('.debug_info')?.flags).toBe(0x800n);
});
