import { deflateSync } from 'node:zlib';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ByteWriter } from '../../../format/bytes.js';
import { ET, PT, SHT } from '../../../format/elf/constants.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import {
  type ElfSpec,
  type SectionSpec,
  type SegmentSpec,
  noteBytes,
  symbolTable,
  writeElf,
} from '../../support/elf-writer.js';
import { thrown } from '../../support/thrown.js';

const open = (spec: ElfSpec, limits?: Parameters<typeof openElf>[1]) =>
  openElf(bufferSource('x.elf', writeElf(spec)), limits);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const buildId = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);

/** Segments that all have the bytes of the first one, a note of 1 KiB. */
function sharedNotes(count: number): SegmentSpec[] {
  const first = { type: PT.PT_NOTE, bytes: noteBytes('GNU', 3, new Uint8Array(1024)) };
  const offset = BigInt(Math.ceil((64 + 56 * count) / 16) * 16);
  const others = Array.from({ length: count - 1 }, () => ({ type: PT.PT_NOTE, offset, fileSize: 1040n }));
  return [first, ...others];
}

describe('openElf', () => {
  test('headers, segments, sections', () => {
    const elf = open({
      type: ET.ET_EXEC,
      entry: 0x401000n,
      segments: [
        { flags: 5, virtualAddress: 0x401000n, bytes: bytes('code!'), memorySize: 9n, align: 0x1000n },
      ],
      sections: [
        { name: '.data', flags: 3n, address: 0x402000n, bytes: bytes('data'), entrySize: 2n, info: 7 },
      ],
    });
    expect([elf.type, elf.machine, elf.entry]).toEqual([2, 62, 0x401000n]);
    expect(elf.segments).toEqual([
      {
        type: PT.PT_LOAD,
        flags: 5,
        offset: 128,
        virtualAddress: 0x401000n,
        fileSize: 5,
        memorySize: 9n,
        align: 0x1000n,
      },
    ]);
    expect(elf.sections.map((section) => section.name)).toEqual(['', '.data', '.shstrtab']);
    expect(elf.findSection('.data')).toMatchObject({
      index: 1,
      type: 1,
      flags: 3n,
      address: 0x402000n,
      offset: 144,
      size: 4,
      info: 7,
      entrySize: 2,
    });
    expect(elf.findSection('.text')).toBeUndefined();
    expect(elf.sectionBytes('.data')).toEqual(bytes('data'));
    expect(elf.sectionBytes('.text')).toBeUndefined();
    expect(elf.buildId).toBeUndefined();
  });

  test('addresses: only what the file backs', () => {
    const elf = open({ segments: [{ virtualAddress: 0x1000n, bytes: bytes('abcdef'), memorySize: 100n }] });
    expect(elf.fileOffsetOf(0x1000n)).toBe(128);
    expect(elf.fileOffsetOf(0x1005n)).toBe(133);
    expect(elf.fileOffsetOf(0x1006n)).toBeUndefined();
    expect(elf.fileOffsetOf(0xfffn)).toBeUndefined();
    expect(elf.bytesAt(0x1002n, 3)).toEqual(bytes('cde'));
    expect(elf.bytesAt(0x1002n, 5)).toBeUndefined();
    expect(elf.bytesAt(0x1002n, -1)).toBeUndefined();
  });

  test('notes and build id of segments, aligned to 4', () => {
    const notes = Buffer.concat([noteBytes('ABCDE', 9, bytes('xyz')), noteBytes('GNU', 3, buildId)]);
    const elf = open({ segments: [{ type: PT.PT_NOTE, bytes: notes, align: 4n }] });
    expect(elf.buildId).toBe('deadbeef');
    expect(elf.notes().map(({ owner, type, description }) => [owner, type, [...description]])).toEqual([
      ['ABCDE', 9, [...bytes('xyz')]],
      ['GNU', 3, [...buildId]],
    ]);
  });

  test('notes aligned to 8', () => {
    const notes = Buffer.concat([noteBytes('ABCDE', 5, bytes('123456'), 8), noteBytes('GNU', 1, buildId, 8)]);
    const elf = open({ segments: [{ type: PT.PT_NOTE, bytes: notes, align: 8n }] });
    expect(elf.notes().map((note) => [note.owner, note.type])).toEqual([
      ['ABCDE', 5],
      ['GNU', 1],
    ]);
  });

  test('the last note may lack its padding', () => {
    const note = noteBytes('GNU', 3, Uint8Array.of(1, 2, 3)).subarray(0, -1);
    expect(open({ segments: [{ type: PT.PT_NOTE, bytes: note, align: 4n }] }).buildId).toBe('010203');
  });

  test('a separate debug file: its notes are in sections, its segments describe another file', () => {
    const elf = open({
      segments: [
        { type: PT.PT_NOTE, offset: 0x10_0000n, fileSize: 36n, align: 4n },
        { offset: 0x10_0000n, fileSize: 0x1000n },
      ],
      sections: [
        { name: '.text', type: SHT.SHT_NOBITS, flags: 6n, size: 0x1000n },
        { name: '.note.gnu.build-id', type: SHT.SHT_NOTE, bytes: noteBytes('GNU', 3, buildId), align: 4n },
      ],
    });
    expect(elf.buildId).toBe('deadbeef');
    expect(elf.sectionBytes('.text')).toBeUndefined();
  });

  const symbols = symbolTable([
    { name: 'main', value: 0x1000n, size: 16n },
    { name: 'table', value: 0x4000n, size: 8n, type: 1, binding: 0, sectionIndex: 2 },
    { name: 'far', value: 0x5000n, sectionIndex: 0xffff },
  ]);
  const dynamic = symbolTable([
    { name: 'main', value: 0x1000n },
    { name: 'main', value: 0x9000n },
    { name: 'puts', value: 0n, sectionIndex: 0 },
  ]);
  const shndx = new ByteWriter().zeros(12).u32(70_000).finish();
  const symbolSections: SectionSpec[] = [
    { name: '.symtab', type: SHT.SHT_SYMTAB, bytes: symbols.symbols, link: 2, entrySize: 24n },
    { name: '.strtab', type: SHT.SHT_STRTAB, bytes: symbols.strings },
    { name: '.symtab_shndx', type: SHT.SHT_SYMTAB_SHNDX, bytes: shndx, link: 1 },
    { name: '.dynsym', type: SHT.SHT_DYNSYM, bytes: dynamic.symbols, link: 5 },
    { name: '.dynstr', type: SHT.SHT_STRTAB, bytes: dynamic.strings },
  ];

  test('symbols: both tables, each name and value once, extended section indices', () => {
    expect(open({ sections: symbolSections }).symbols()).toEqual([
      { name: 'main', value: 0x1000n, size: 16, type: 2, binding: 1, sectionIndex: 1 },
      { name: 'table', value: 0x4000n, size: 8, type: 1, binding: 0, sectionIndex: 2 },
      { name: 'far', value: 0x5000n, size: 0, type: 2, binding: 1, sectionIndex: 70_000 },
      { name: 'main', value: 0x9000n, size: 0, type: 2, binding: 1, sectionIndex: 1 },
      { name: 'puts', value: 0n, size: 0, type: 2, binding: 1, sectionIndex: 0 },
    ]);
  });

  test('counts that do not fit the header: PN_XNUM, SHN_XINDEX, e_shnum 0', () => {
    const elf = open({
      segments: [{ bytes: bytes('x') }],
      sections: [{ name: '.data', bytes: bytes('data') }],
      phnum: 0xffff,
      shnum: 0,
      shstrndx: 0xffff,
      zero: { size: 3n, link: 2, info: 1 },
    });
    expect(elf.segments).toHaveLength(1);
    expect(elf.sections.map((section) => section.name)).toEqual(['', '.data', '.shstrtab']);
  });

  test('a core of the kernel with PN_XNUM has a section header and no names', () => {
    const elf = open({
      type: ET.ET_CORE,
      segments: [{ bytes: bytes('x') }],
      phnum: 0xffff,
      zero: { info: 1 },
    });
    expect(elf.segments).toHaveLength(1);
  });

  test('a core cut short opens', () => {
    const spec: ElfSpec = {
      type: ET.ET_CORE,
      segments: [
        { type: PT.PT_NOTE, bytes: noteBytes('CORE', 1, buildId), align: 4n },
        { bytes: bytes('memory') },
      ],
      sections: [{ name: 'load', bytes: bytes('') }],
    };
    const whole = writeElf(spec);
    const elf = openElf(bufferSource('cut', whole.subarray(0, 212)));
    expect(elf.notes()).toHaveLength(1);
    expect(elf.sections).toEqual([]);
    expect(elf.segments).toHaveLength(2);
  });

  const compressed = (name: string, data: Uint8Array, size: number, method = 1): SectionSpec => ({
    name,
    flags: 0x800n,
    bytes: new ByteWriter().u32(method).u32(0).u64(BigInt(size)).u64(1n).raw(data).finish(),
  });
  const text = bytes('hello '.repeat(50));

  test('compressed sections, new and old', () => {
    const packed = deflateSync(text);
    const old = Buffer.concat([bytes('ZLIB'), Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 44), packed]);
    const elf = open({
      sections: [compressed('.debug_info', packed, 300), { name: '.zdebug_line', bytes: old }],
    });
    expect(elf.sectionBytes('.debug_info')).toEqual(Buffer.from(text));
    expect(elf.sectionBytes('.debug_line')).toEqual(Buffer.from(text));
    expect(elf.sectionBytes('.debug_info')).toBe(elf.sectionBytes('.debug_info'));
  });

  const loads = (section: SectionSpec) => () => open({ sections: [section] }).sectionBytes(section.name);
  test.each<[string, () => unknown, string]>([
    [
      'empty',
      () => openElf(bufferSource('x.elf', bytes(''))),
      'bad-data: cannot parse ELF file "x.elf": a file of 0 bytes is too short for an ELF header',
    ],
    [
      'short',
      () => openElf(bufferSource('x.elf', writeElf({}).subarray(0, 63))),
      'bad-data: cannot parse ELF file "x.elf": a file of 63 bytes is too short for an ELF header',
    ],
    [
      'no ELF',
      () => openElf(bufferSource('x.elf', bytes('#!/bin/sh\necho hello\n'))),
      'bad-data: cannot parse ELF file "x.elf": it does not begin with the ELF magic',
    ],
    [
      '32 bits',
      () => open({ class: 1 }),
      'bad-data: cannot parse ELF file "x.elf": it is a 32-bit file, and only ELF64 is supported',
    ],
    [
      'class',
      () => open({ class: 9 }),
      'bad-data: cannot parse ELF file "x.elf": unknown class 9 at offset 0x4',
    ],
    [
      'big-endian',
      () => open({ data: 2 }),
      'bad-data: cannot parse ELF file "x.elf": it is big-endian, and only little-endian is supported',
    ],
    [
      'data',
      () => open({ data: 3 }),
      'bad-data: cannot parse ELF file "x.elf": unknown data encoding 3 at offset 0x5',
    ],
    [
      'version',
      () => open({ version: 2 }),
      'bad-data: cannot parse ELF file "x.elf": unknown version 2 at offset 0x6',
    ],
    [
      'program headers past the end',
      () => open({ segments: [{ bytes: bytes('x') }], phnum: 9 }),
      'bad-data: cannot parse ELF file "x.elf": 9 program headers reach past the end of its 136 bytes at offset 0x40',
    ],
    [
      'program header size',
      () => open({ segments: [{}], phentsize: 32 }),
      'bad-data: cannot parse ELF file "x.elf": program headers of 32 bytes instead of 56',
    ],
    [
      'section headers past the end',
      () => open({ sections: [{ name: 'a' }], shnum: 9 }),
      'bad-data: cannot parse ELF file "x.elf": 9 section headers reach past the end of its 272 bytes at offset 0x50',
    ],
    [
      'section header size',
      () => open({ sections: [{ name: 'a' }], shentsize: 40 }),
      'bad-data: cannot parse ELF file "x.elf": section headers of 40 bytes instead of 64',
    ],
    [
      'section header 0 past the end',
      () => open({ phnum: 0xffff, shoff: 0x1000n }),
      'bad-data: cannot parse ELF file "x.elf": section header 0 is past the end of its 64 bytes at offset 0x1000',
    ],
    [
      'PN_XNUM without sections',
      () => open({ phnum: 0xffff }),
      'bad-data: cannot parse ELF file "x.elf": PN_XNUM is set, and there is no section header 0 with the count',
    ],
    [
      'absurd segments',
      () => open({ segments: [{}], phnum: 0xffff, zero: { info: 0xffff_ffff } }),
      'bad-data: cannot parse ELF file "x.elf": 4294967295 program headers are more than 1048576',
    ],
    [
      'absurd sections',
      () => open({ sections: [{ name: 'a' }], shnum: 0, zero: { size: 1n << 40n } }),
      'bad-data: cannot parse ELF file "x.elf": 1099511627776 section headers are more than 1048576',
    ],
    [
      'absurd offset',
      () => open({ shoff: 1n << 63n }),
      'bad-data: cannot parse ELF header of "x.elf": size 0x8000000000000000 is absurd at offset 0x28',
    ],
    [
      'section names',
      () => open({ sections: [{ name: 'a' }], shstrndx: 7 }),
      'bad-data: cannot parse ELF file "x.elf": section names are in section 7 of 3',
    ],
    [
      'section past the end',
      () => open({ sections: [{ name: '.a', offset: 0x200n, size: 4n }] }),
      'bad-data: cannot parse ELF file "x.elf": section ".a" of 4 bytes reaches past the end of its 272 bytes at offset 0x200',
    ],
    [
      'segment past the end',
      () => open({ segments: [{ bytes: bytes('x'), fileSize: 100n }] }),
      'bad-data: cannot parse ELF file "x.elf": segment 0 of 100 bytes reaches past the end of its 136 bytes at offset 0x80',
    ],
    [
      'notes of a core past the end',
      () => open({ type: ET.ET_CORE, segments: [{ type: PT.PT_NOTE, fileSize: 9000n }] }).notes(),
      'bad-data: cannot parse ELF file "x.elf": the notes of segment 0, 9000 bytes, reach past the end of its 120 bytes at offset 0x0',
    ],
    [
      'a note past its segment',
      () => open({ segments: [{ type: PT.PT_NOTE, bytes: noteBytes('GNU', 3, buildId).subarray(0, 18) }] }),
      'bad-data: cannot parse notes in segment 0 of "x.elf": 4 bytes wanted, 2 left at offset 0x10',
    ],
    [
      'garbage after notes',
      () => open({ segments: [{ type: PT.PT_NOTE, bytes: bytes('abc') }] }),
      'bad-data: cannot parse notes in segment 0 of "x.elf": bytes after the last note at offset 0x3',
    ],
    [
      'notes that share bytes',
      () => open({ segments: sharedNotes(10) }),
      'bad-data: cannot parse ELF file "x.elf": its notes overlap',
    ],
    [
      'symbols that are no whole number',
      () =>
        open({
          sections: [{ name: '.symtab', type: SHT.SHT_SYMTAB, bytes: new Uint8Array(25), link: 0 }],
        }).symbols(),
      'bad-data: cannot parse ELF file "x.elf": .symtab of 25 bytes is not a whole number of symbols',
    ],
    [
      'symbols without strings',
      () =>
        open({
          sections: [{ name: '.symtab', type: SHT.SHT_SYMTAB, bytes: new Uint8Array(24), link: 1 }],
        }).symbols(),
      'bad-data: cannot parse ELF file "x.elf": the strings of .symtab are in section 1, which is no string table',
    ],
    [
      'no extended index',
      () =>
        open({
          sections: symbolSections.map((section) =>
            section.type === SHT.SHT_SYMTAB_SHNDX ? { ...section, link: 4 } : section,
          ),
        }).symbols(),
      'bad-data: cannot parse ELF file "x.elf": symbol 3 of .symtab has no extended section index',
    ],
    [
      'a name past the strings',
      () =>
        open({
          sections: symbolSections.map((section) =>
            section.name === '.strtab' ? { ...section, bytes: bytes('\0main\0') } : section,
          ),
        }).symbols(),
      'bad-data: cannot parse strings of .symtab of "x.elf": name at offset 0x6 is past its 6 bytes',
    ],
    [
      'a name without end',
      () =>
        open({
          sections: symbolSections.map((section) =>
            section.name === '.strtab' ? { ...section, bytes: bytes('\0main') } : section,
          ),
        }).symbols(),
      'bad-data: cannot parse strings of .symtab of "x.elf": string without end at offset 0x1',
    ],
    [
      'bad zstd stream',
      loads(compressed('.debug_info', text, 300, 2)),
      'bad-data: cannot parse .debug_info of "x.elf": no zstd magic at offset 0x0',
    ],
    [
      'compression',
      loads(compressed('.debug_info', text, 300, 9)),
      'bad-data: cannot parse .debug_info of "x.elf": unknown compression 9 at offset 0x0',
    ],
    [
      'bad stream',
      loads(compressed('.debug_info', bytes('garbage garbage'), 300)),
      'bad-data: cannot parse .debug_info of "x.elf": bad zlib stream: incorrect header check',
    ],
    [
      'cut stream',
      loads(compressed('.debug_info', deflateSync(text).subarray(0, -9), 300)),
      'bad-data: cannot parse .debug_info of "x.elf": bad zlib stream: unexpected end of file',
    ],
    [
      'longer than it says',
      loads(compressed('.debug_info', deflateSync(text), 299)),
      'bad-data: cannot parse .debug_info of "x.elf": bad zlib stream: Cannot create a Buffer larger than 299 bytes',
    ],
    [
      'shorter than it says',
      loads(compressed('.debug_info', deflateSync(text), 301)),
      'bad-data: cannot parse .debug_info of "x.elf": 300 bytes after decompression instead of 301',
    ],
    [
      'a bomb',
      loads(compressed('.debug_info', deflateSync(text), 1 << 30)),
      `bad-data: cannot parse .debug_info of "x.elf": ${deflateSync(text).length} compressed bytes cannot give 1073741824`,
    ],
    [
      'old without magic',
      loads({ name: '.zdebug_line', bytes: bytes('GZIP12345678') }),
      'bad-data: cannot parse .zdebug_line of "x.elf": no ZLIB magic at offset 0x0',
    ],
    [
      'too large',
      () =>
        open(
          { sections: [{ name: '.data', bytes: text }] },
          { maxHeaders: 10, maxSectionBytes: 256 },
        ).sectionBytes('.data'),
      'limit: cannot read .data of "x.elf": its 300 bytes are more than 256',
    ],
    [
      'a source read past its end',
      () => bufferSource('x', bytes('abc')).read(1, 3),
      'bad-data: cannot read "x": 3 bytes at offset 0x1 are past its 3 bytes',
    ],
  ])('error: %s', (_, action, message) => {
    expect(thrown(action)).toBe(message);
  });

  test('strings that overlap beyond reason', () => {
    const count = 3000;
    const table = new ByteWriter().zeros(24);
    for (let i = 0; i < count; i++) table.u32(i).u8(2).u8(0).u16(1).zeros(16);
    const strings = new Uint8Array(count + 1).fill(97);
    strings[count] = 0;
    const elf = open({
      sections: [
        { name: '.symtab', type: SHT.SHT_SYMTAB, bytes: table.finish(), link: 2 },
        { name: '.strtab', type: SHT.SHT_STRTAB, bytes: strings },
      ],
    });
    expect(thrown(() => elf.symbols())).toBe(
      'bad-data: cannot parse strings of .symtab of "x.elf": its strings overlap beyond reason',
    );
  });

  test('whatever bytes are changed, it is a file or bad data', () => {
    const whole = writeElf({
      segments: [
        { type: PT.PT_NOTE, bytes: noteBytes('GNU', 3, buildId), align: 4n },
        { virtualAddress: 0x1000n, bytes: bytes('code') },
      ],
      sections: [...symbolSections, compressed('.debug_info', deflateSync(text), 300)],
    });
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(whole.length * 4),
        (changes, cut) => {
          const mutated = whole.slice(0, Math.max(whole.length - Math.max(cut - whole.length * 3, 0), 0));
          for (const [at, value] of changes) if (at < mutated.length) mutated[at] = value;
          try {
            const elf = openElf(bufferSource('mutated', mutated));
            elf.notes();
            elf.symbols();
            for (const section of elf.sections) elf.sectionBytes(section.name);
            elf.bytesAt(0x1000n, 4);
          } catch (error) {
            expect(['bad-data', 'limit', 'unsupported']).toContain((error as { code?: string }).code);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
