/** Targets of debug information: one section of a real program mutated, and then every question that there is. */
import { openCallFrames } from '../../controller/dwarf/call-frame-table.js';
import { openModuleSymbols } from '../../controller/symbols/open.js';
import type { ModuleSymbols, VariableSymbol } from '../../controller/symbols/module-symbols.js';
import { renderVariable } from '../../controller/types/render.js';
import { typeName } from '../../controller/types/type-name.js';
import { linkAddress, type LinkAddress } from '../../format/address.js';
import { bufferSource, openElf } from '../../format/elf/open.js';
import { defaultLimits } from '../../format/limits.js';
import { ask, type FuzzTarget } from './fuzz-target.js';
import { patternMemory } from './pattern-memory.js';
import { build, buildNames, withSection } from './program.js';

const names = ['search', 'outer', 'square', 'head', 'numbers', 'tail', 'sink', '_start'];
const types = ['struct node', 'count', 'enum color', 'int', 'unsigned long', 'double'];

/** Little of each value: what types can do to a reader shows in the first elements. */
const rendering = {
  memory: patternMemory,
  limits: { ...defaultLimits, maxElements: 8, maxStringBytes: 64 },
  depth: 1,
};

/** What a reader of a frame asks of a variable. */
function askVariable(variable: VariableSymbol, at: LinkAddress): void {
  ask(() => variable.availableRanges?.());
  ask(() => variable.locationAt(at));
  ask(() => typeName(variable.type()));
  ask(() => {
    const place = { kind: 'memory', address: 0x4000n } as const;
    renderVariable(variable.name, { type: variable.type(), place }, rendering);
  });
}

function askAddress(symbols: ModuleSymbols, at: LinkAddress): void {
  ask(() => symbols.symbolAt(at));
  ask(() => symbols.frames.findRow(at));
  ask(() => {
    const found = symbols.functionAt(at);
    found?.tailCalls?.();
    if (found !== undefined) typeName(found.returnType());
  });
  ask(() => {
    for (const { scope } of symbols.sourceStack(at)) {
      for (const variable of scope?.variables ?? []) askVariable(variable, at);
      scope?.callSite(at);
    }
  });
}

/** Every kind of question once or more; what a question throws other than bad data comes out. */
export function askEverything(file: Uint8Array, addresses: readonly bigint[]): void {
  const elf = openElf(bufferSource('fuzzed', file));
  const symbols = openModuleSymbols(elf, 'fuzzed', openCallFrames(elf));
  for (const name of names) {
    ask(() => {
      for (const found of symbols.findFunctions(name)) {
        for (const parameter of found.parameters()) askVariable(parameter, found.entry ?? linkAddress(0n));
      }
    });
    ask(() => symbols.findGlobals(name).map((each) => askVariable(each, linkAddress(0n))));
    ask(() => symbols.findSymbol(name));
  }
  for (const name of types) {
    ask(() => {
      const type = symbols.findType(name);
      const place = { kind: 'memory', address: 0x8000n } as const;
      if (type !== undefined) renderVariable(name, { type, place }, rendering);
    });
  }
  ask(() => symbols.findEnumerator('GREEN'));
  ask(() => [...symbols.globalNames()]);
  ask(() => [...symbols.functionNames()]);
  ask(() => {
    for (const path of symbols.sourceFiles().slice(0, 20)) {
      const lines = symbols.linesWithCode(path);
      for (const line of lines.slice(0, 20)) symbols.findLine(path, line);
    }
  });
  for (const address of addresses) askAddress(symbols, linkAddress(address));
}

/** Addresses all over the program's code. */
function addressesOf(name: string): bigint[] {
  const text = build(name).elf.findSection('.text');
  if (text === undefined) throw new Error('no code');
  return Array.from({ length: 6 }, (_, i) => text.address + BigInt(Math.floor((text.size * i) / 6)));
}

const sections = [
  ['info', 'abbrev', 'line', 'str', 'line_str', 'loc', 'loclists', 'ranges', 'rnglists', 'addr'],
  ['str_offsets', 'aranges', 'types', 'frame', 'names', 'pubnames'],
]
  .flat()
  .map((name) => `.debug_${name}`);

function sectionTarget(name: string, section: string): FuzzTarget | undefined {
  const made = build(name);
  const contents = made.elf.sectionBytes(section);
  if (contents === undefined || contents.length === 0) return undefined;
  const addresses = addressesOf(name);
  const check = (bytes: Uint8Array): void => askEverything(withSection(made, section, bytes), addresses);
  return { name: `${name}${section.replace('.debug_', '-')}`, seeds: () => [contents], run: check };
}

/** All of them; the programs are compiled when this is called. */
export function dwarfTargets(): readonly FuzzTarget[] {
  return buildNames.flatMap((name) => {
    const whole: FuzzTarget = {
      name: `${name}-file`,
      seeds: () => [build(name).bytes],
      run: (bytes) => askEverything(bytes, addressesOf(name)),
    };
    // The tables of symbols are one format, whoever compiled.
    const symbols = name === 'gcc5' ? ['.symtab', '.strtab'] : [];
    const of = [...sections, '.eh_frame', ...symbols].flatMap(
      (section) => sectionTarget(name, section) ?? [],
    );
    return [whole, ...of];
  });
}
