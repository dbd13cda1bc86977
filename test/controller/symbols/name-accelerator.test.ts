import * as fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { parseGdbIndex } from '../../../controller/dwarf/gdb-index.js';
import { noDebugFiles } from '../../../controller/symbols/debug-file-opener.js';
import { DebugFiles } from '../../../controller/symbols/debug-files.js';
import { KIND } from '../../../controller/symbols/file-names.js';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { openNameAccelerator } from '../../../controller/symbols/name-accelerator.js';
import { NameIndex } from '../../../controller/symbols/name-index.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { buildFixture } from '../../support/fixtures.js';
import { layoutOf } from '../../support/gdb-view.js';

const root = mkdtempSync(join(tmpdir(), 'stillframe-index-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Two units that share a name of a static function and a static variable, and one that has a function inlined by both. */
const header = `
struct shared { int a; struct only_here *next; };
static inline int twice(int x) { return x * 2 + 1; }
extern int counter;
int first(int), second(int), third(struct shared *);
`;
const units = {
  'first.c': `#include "shared.h"
static int local = 1;
static __attribute__((noinline)) int hidden(int x) { return x + local; }
enum kind { ONE = 1, TWO };
int first(int x) { local++; return hidden(x) + twice(x) + ONE; }
`,
  'second.c': `#include "shared.h"
static long local = 2;
static __attribute__((noinline)) int hidden(int x) { return x - (int) local; }
int (*pointer)(int) = twice;
int second(int x) { local--; return hidden(x) + twice(x + 3); }
`,
  'third.c': `#include "shared.h"
int counter = 3;
struct only_here { char name[8]; };
typedef struct only_here *link;
int third(struct shared *s) { link l = s->next; return counter + l->name[0]; }
`,
  'main.c': `#include "shared.h"
#include <stddef.h>
int main(int argc, char **argv) {
  struct shared s = { argc, NULL };
  return argc > 5 ? third(&s) : first(argc) + second(argc) + (argv == NULL);
}
`,
} as const;

function compile(name: string, compiler: string, ...flags: readonly string[]): string {
  writeFileSync(join(root, 'shared.h'), header);
  for (const [file, text] of Object.entries(units)) writeFileSync(join(root, file), text);
  execFileSync(compiler, ['-O2', '-g', ...flags, '-o', name, ...Object.keys(units)], { cwd: root });
  return join(root, name);
}

function addIndex(program: string, name: string, ...options: readonly string[]): string {
  const copy = join(root, name);
  copyFileSync(program, copy);
  execFileSync('gdb-add-index', [...options, copy], { stdio: 'ignore' });
  return copy;
}

const open = (path: string): ElfFile => openElf(bufferSource(path, readFileSync(path)));

/** The file as if some sections were others. */
function withSections(elf: ElfFile, change: Readonly<Record<string, Uint8Array | undefined>>): ElfFile {
  const sectionBytes = (name: string): Uint8Array | undefined =>
    name in change ? change[name] : elf.sectionBytes(name);
  return new Proxy(elf, {
    get(target, key) {
      if (key === 'sectionBytes') return sectionBytes;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const withoutIndex = (elf: ElfFile): ElfFile =>
  withSections(elf, { '.gdb_index': undefined, '.debug_names': undefined });

const symbolsOf = (elf: ElfFile): ModuleSymbols =>
  openModuleSymbols(elf, elf.source.name, openCallFrames(elf));

function namesOf(elf: ElfFile): NameIndex {
  const files = new DebugFiles(elf, elf.source.name, noDebugFiles);
  return new NameIndex(files, () => openNameAccelerator(elf, files.main));
}

/** All that is said of a name. */
function answers(elf: ElfFile, name: string): unknown {
  const symbols = symbolsOf(elf);
  return {
    functions: symbols.findFunctions(name).map(({ ranges, inlinedCopies, file, line }) => ({
      ranges,
      file,
      line,
      copies: inlinedCopies.map((copy) => copy.entry).toSorted((a, b) => (a < b ? -1 : 1)),
    })),
    globals: symbols
      .findGlobals(name)
      .map((each) => [each.declaredFile, each.declaredLine, each.type().kind]),
    inFile: symbols.findGlobals(name, 'first.c').map((each) => each.declaredLine),
    type: symbols.findType(name) === undefined ? undefined : layoutOf(symbols, name),
    structure: layoutOf(symbols, `struct ${name}`),
  };
}

const programs = [
  ['gdb-add-index', (): string => addIndex(compile('gcc', 'gcc'), 'gdb-index')],
  ['gdb-add-index, DWARF 4', (): string => addIndex(compile('gcc4', 'gcc', '-gdwarf-4'), 'gdb-index4')],
  ['gdb-add-index -dwarf-5', (): string => addIndex(compile('gcc', 'gcc'), 'gdb-names', '-dwarf-5')],
  [
    'gold',
    (): string => compile('gold', 'gcc', '-gdwarf-4', '-fuse-ld=gold', '-ggnu-pubnames', '-Wl,--gdb-index'),
  ],
  ['clang .debug_names', (): string => compile('names', 'clang', '-gdwarf-5', '-gpubnames')],
] as const;

describe('an index of names gives the answers that reading every unit gives', () => {
  test.each(programs)('%s', (_, build) => {
    const elf = open(build());
    const names = [
      'twice',
      'hidden',
      'local',
      'first',
      'counter',
      'only_here',
      'shared',
      'link',
      'kind',
      'pointer',
      'main',
      'nothing',
    ];
    for (const name of names) {
      expect({ name, ...Object(answers(elf, name)) }).toEqual({
        name,
        ...Object(answers(withoutIndex(elf), name)),
      });
    }
  });

  test.each([
    ['gdb-add-index', ['.gdb_index']],
    ['gdb-add-index -dwarf-5', ['.debug_names', '.debug_str']],
  ])('%s, several units of a service', (option) => {
    const fixture = buildFixture('order-service', { opt: 'O2', dwarf: 5 });
    const elf = open(addIndex(fixture, 'order-service', ...option.split(' ').slice(1)));
    const all = [...symbolsOf(elf).functionNames(), ...symbolsOf(elf).globalNames()];
    expect(all.length).toBeGreaterThan(40);
    for (const name of all) {
      expect({ name, ...Object(answers(elf, name)) }).toEqual({
        name,
        ...Object(answers(withoutIndex(elf), name)),
      });
    }
  });

  test.each(programs)('and reads no more than it must: %s', (_, build) => {
    const elf = open(build());
    const names = namesOf(elf);
    expect(names.find(KIND.function, 'first')).not.toEqual([]);
    expect(names.findKnown(KIND.type, 'nothing')).toEqual([]);
    expect(names.isComplete).toBe(false);
    expect(names.find(KIND.function, 'nothing')).toEqual([]);
    expect(names.isComplete).toBe(false);
    expect([...names.names(KIND.function)]).toContain('first');
    expect(names.isComplete).toBe(true);
  });
});

describe('an index that is wrong is not used', () => {
  const sections = ['.gdb_index', '.debug_names'] as const;

  test('one of another build', () => {
    const elf = open(compile('plain', 'gcc'));
    const other = open(addIndex(compile('other', 'gcc', '-O1'), 'other-index'));
    const stale = withSections(elf, { '.gdb_index': other.sectionBytes('.gdb_index') });
    const files = new DebugFiles(stale, 'stale', noDebugFiles);
    expect(openNameAccelerator(stale, files.main)).toBeUndefined();
    expect(answers(stale, 'hidden')).toEqual(answers(elf, 'hidden'));
  });

  test.each([
    ['.gdb_index', (): string => addIndex(compile('gcc', 'gcc'), 'fuzz-index')],
    ['.debug_names', (): string => compile('fuzz-names', 'clang', '-gdwarf-5', '-gpubnames')],
  ] as const)('changed bytes of %s lose no function that has one name', (section, build) => {
    const elf = open(build());
    expect(sections).toContain(section);
    const original = elf.sectionBytes(section) ?? new Uint8Array();
    const names = ['first', 'second', 'third', 'main', 'counter'];
    const expected = names.map((name) => answers(elf, name));
    const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(edits, fc.option(fc.nat(original.length), { freq: 4 }), (changes, cut) => {
        const bytes = original.slice(0, cut ?? original.length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const changed = withSections(elf, { [section]: bytes });
        expect(names.map((name) => answers(changed, name))).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  test('changed bytes of .debug_aranges change no answer', () => {
    const elf = open(compile('plain', 'gcc'));
    const original = elf.sectionBytes('.debug_aranges') ?? new Uint8Array();
    expect(original.length).toBeGreaterThan(100);
    const known = symbolsOf(elf);
    const addresses = ['first', 'second', 'third', 'main'].flatMap(
      (name) => known.findFunctions(name)[0]?.entry ?? [],
    );
    const stacks = (symbols: ModuleSymbols): unknown =>
      addresses.map((address) => symbols.sourceStack(address).map((frame) => [frame.function, frame.line]));
    const expected = stacks(known);
    const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(edits, (changes) => {
        const bytes = original.slice();
        for (const [at, value] of changes) bytes[at] = value;
        expect(stacks(symbolsOf(withSections(elf, { '.debug_aranges': bytes })))).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, (bytes: Uint8Array) => void, string]>([
    ['version', (bytes) => bytes.set([6], 0), 'cannot parse x: index of version 6 at offset 0x0'],
    ['order', (bytes) => bytes.set([1], 4), 'cannot parse x: its parts overlap at offset 0x0'],
  ])('.gdb_index: %s', (_, change, message) => {
    const elf = open(addIndex(compile('gcc', 'gcc'), 'broken'));
    const bytes = (elf.sectionBytes('.gdb_index') ?? new Uint8Array()).slice();
    change(bytes);
    expect(() => parseGdbIndex(bytes, 'x')).toThrow(expect.objectContaining({ code: 'bad-data', message }));
  });
});
