/**
 * Address to line, against binutils' addr2line, at every row of a program's line tables, inlined functions included.
 * usage: node dist/test/differential/lines.js PROGRAM [EVERY [llvm-addr2line]]: each row, or one of so many.
 */
import { compareLines } from '../support/compare-lines.js';

const [program = '', every = '1', tool = 'addr2line'] = process.argv.slice(2);
const { compared, asGdb, differences } = compareLines(program, {
  every: Number(every),
  tool: tool === 'llvm-addr2line' ? tool : 'addr2line',
});
for (const each of differences.slice(0, 200)) console.log(each);
console.log(
  `${program}: ${compared} addresses compared, ${asGdb} where addr2line takes another row than gdb and we do, ${differences.length} differ`,
);
if (differences.length > 0 || compared === 0) process.exitCode = 1;
