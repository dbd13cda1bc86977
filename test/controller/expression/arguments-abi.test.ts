/** `$arg1` and its like: arguments by the calling convention, for code of which only symbols are known; compared with what was passed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions } from '../../../controller/snapshot/show.js';
import { StillframeError } from '../../../format/error.js';
import { compileC } from '../../support/compile-c.js';

const source = `
#include <stdlib.h>
__attribute__((noinline, noipa)) long sum(long a, int b, const char *c, long d, short e, unsigned long f) {
  return a + b + c[0] + d + e + (long)f;
}
__attribute__((noinline, noipa)) long caller(long n) { return sum(n, -2, "three", 4, -5, 6) + 1; }
int main(void) { return (int)caller(1000); }
`;

const folder = mkdtempSync(join(tmpdir(), 'arguments-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A core of a stop at an address of \`sum\`. */
function coreAt(program: string, place: string): string {
  const core = join(folder, `core.${place.replaceAll(/\W/g, '_')}.${program.split('/').at(-2)}`);
  const commands = [`break ${place}`, 'run', `gcore ${core}`, 'kill'].flatMap((each) => ['-ex', each]);
  execFileSync('gdb', ['-q', '-nx', '-batch', '-iex', 'set debuginfod enabled off', ...commands, program], {
    stdio: 'ignore',
  });
  return core;
}

function ask(core: string, texts: readonly string[], frame = 0): string[] {
  using snapshot = openSnapshot(core);
  return evaluateExpressions(snapshot, texts, { frame }).map((answer) =>
    answer instanceof StillframeError ? answer.message : (answer.value ?? '?'),
  );
}

const all = ['$arg1', '(int)$arg2', '*(char *)$arg3', '$arg4', '(short)$arg5', '$arg6'];
const passed = ['1000', '-2', '116', '4', '-5', '6'];
const notEntered = [
  'cannot understand "$arg1" at character 1: $arg1 is not known: they are known only where a function is entered',
];

describe.each([
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['clang', '-O0'],
  ['clang', '-O2'],
])('%s %s, without debug information', (compiler, level) => {
  const program = compileC(source, { name: 'arguments', compiler, flags: [level, '-g0', '-w'] });

  test('at the entry they are what was passed', () => {
    const core = coreAt(program, '*sum');
    expect(ask(core, all)).toEqual(passed);
    expect(ask(core, ['$arg1 + 1 == 1001 ? $arg4 : 0'])).toEqual(['4']);
    expect(ask(core, ['$arg7'])).toEqual([expect.stringMatching(/: no register "\$arg7"/)]);
  });

  test('of callers nothing is known', () => {
    expect(ask(coreAt(program, '*sum'), ['$arg1'], 1)).toEqual([
      'cannot understand "$arg1" at character 1: $arg1 is not known: the frame has called on, and calls do not preserve them',
    ]);
  });

  test('in the middle nothing is known', () => {
    // The return instruction is the last byte.
    const core = coreAt(program, `*(sum + ${sizeOf(program, 'sum') - 1})`);
    expect(ask(core, ['$arg1'])).toEqual(notEntered);
  });
});

test('behind the instructions that set up a frame they still are what was passed', () => {
  const program = compileC(source, {
    name: 'arguments',
    flags: ['-O0', '-g0', '-w', '-fcf-protection=none'],
  });
  // push %rbp; mov %rsp,%rbp
  for (const offset of [1, 4]) expect(ask(coreAt(program, `*(sum + ${offset})`), all)).toEqual(passed);
});

function sizeOf(program: string, name: string): number {
  const line = execFileSync('nm', ['-S', program], { encoding: 'utf8' })
    .split('\n')
    .find((each) => each.endsWith(` ${name}`));
  return Number.parseInt(line?.split(' ')[1] ?? '', 16);
}
