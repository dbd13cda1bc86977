/** A live service of which only symbols are known: its functions have names, its stack is unwound, and arguments go by the calling convention. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { compileC } from '../support/compile-c.js';
import type { SnapshotJson } from '../support/documents.js';

const source = `
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline, noipa)) long charge(long id, int cents, const char *customer) { return id + cents + customer[0]; }
__attribute__((noinline, noipa)) long serve(long id) { return charge(id, -250, "alice") + 1; }
int main(void) {
  puts("ready"); fflush(stdout);
  for (long id = 0;; id++) { serve(id); usleep(5000); }
}
`;

let workplace: Workplace;
let service: StartedProgram;

beforeAll(async () => {
  workplace = openWorkplace();
  const program = compileC(source, { name: 'symbols-alone', flags: ['-O2', '-g0'] });
  service = await workplace.startProgram(program, [], { ready: /^ready$/ });
  await workplace.startAgent();
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});

test('a condition on an argument is decided in the kernel, and arguments are captured', async () => {
  const captures = ['$arg1', '(int)$arg2', '(char *)$arg3'].flatMap((each) => ['--capture', each]);
  const [snapshot] = (await workplace.json(
    'snap',
    String(service.pid),
    'charge',
    '--if',
    '$arg1 % 10 == 3',
    ...captures,
  )) as [SnapshotJson];
  expect(snapshot.captures[0]?.value).toMatch(/3$/);
  expect(snapshot.captures.slice(1)).toMatchObject([{ value: '-250' }, { text: 'alice' }]);
  expect(snapshot.frames.map((frame) => frame.function)).toEqual(['charge', 'serve', 'main']);
  const [again, caller] = await workplace.json('eval', snapshot.id, '$arg1', '$rsp');
  expect(again).toMatchObject({ value: snapshot.captures[0]?.value });
  expect(caller).toMatchObject({ kind: 'pointer' });
});
