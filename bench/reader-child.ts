/**
 * One cold answer of the reader, as a process of its own: where a function and a line are, and the function's variables with their types.
 * With --again also what it takes to answer once more with everything opened anew, as a line of JSON.
 * usage: node dist/bench/reader-child.js PROGRAM FUNCTION FILE:LINE [--again]
 */
import { hex } from '../format/address.js';
import { openElf } from '../format/elf/open.js';
import { openSymbols } from '../controller/service/symbols.js';
import { openFileSource } from '../controller/snapshot/file-source.js';
import type { ModuleSymbols } from '../controller/symbols/module-symbols.js';
import { typeName } from '../controller/types/type-name.js';

const [program = '', name = '', place = '', again] = process.argv.slice(2);

function answer(symbols: ModuleSymbols): string[] {
  const lines: string[] = [];
  for (const found of symbols.findFunctions(name)) {
    const address = found.afterPrologue ?? found.entry;
    lines.push(`${found.name} ${address === undefined ? 'inlined' : hex(address)}`);
    for (const copy of found.inlinedCopies) lines.push(`  inlined at ${hex(copy.entry)} into ${copy.into}`);
    const scope = address === undefined ? undefined : symbols.sourceStack(address).at(-1)?.scope;
    for (const variable of scope?.variables ?? []) {
      lines.push(
        `  ${variable.parameter ? 'parameter' : 'local'} ${typeName(variable.type())} ${variable.name}`,
      );
    }
  }
  const colon = place.lastIndexOf(':');
  for (const found of symbols.findLine(place.slice(0, colon), Number(place.slice(colon + 1)))) {
    lines.push(`${place} ${hex(found.address)} in ${found.function}`);
  }
  return lines;
}

function ask(): string[] {
  using source = openFileSource(program);
  return answer(openSymbols(openElf(source), program));
}

console.log(ask().join('\n'));
if (again === '--again') {
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const begin = process.hrtime.bigint();
    ask();
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  console.log(JSON.stringify({ againMs: times.toSorted((a, b) => a - b)[4] }));
}
