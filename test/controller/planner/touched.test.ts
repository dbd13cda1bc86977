import { expect, test } from 'vitest';
import { checkExpression } from '../../../controller/expression/check.js';
import { objectsRead } from '../../../controller/planner/touched.js';
import { viewProgram } from '../expression/views.js';

const program = viewProgram();

/** Each once, in the order in which they are met. */
function read(text: string): string[] {
  return [...new Set(objectsRead(checkExpression(text, program)).map(({ path }) => path))];
}

test.each<[string, readonly string[]]>([
  ['1 + 2', []],
  ['i', ['i']],
  ['&i', []],
  ['-i + ~counter', ['-i', '~counter']],
  ['i > 0 ? vector->size() : 3', ['i', 'vector']],
  ['vector', ['vector']],
  ['numbers[i]', ['i', 'numbers', 'numbers[i]']],
  ['(long)vector + i * 2', ['vector', 'i']],
  ['ages["ada"]', ['ages']],
  ['squares[i]', ['squares', 'i']],
  ['squares[circle.Named::id]', ['squares', 'circle.Named::id']],
  ['list[i]', ['i', 'list']],
  ['list.contains(i)', ['list', 'i']],
  ['list[i:3]', ['i', 'list']],
  ['any.(Item).id', ['any.(Item).id', 'any']],
  ['name == "abc"', ['name']],
  ['name == long_name', ['name', 'long_name']],
])('%s', (text, paths) => {
  expect(read(text)).toEqual(paths);
});
