import { afterEach, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { SymbolThread } from '../../../controller/service/symbol-thread.js';
import { plainError } from '../../../controller/service/symbol-messages.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import { compileFixture } from '../../support/compile.js';
import { crashCore } from '../../support/core.js';

const program = new URL('./troubled-worker.js', import.meta.url);
let logged: string[] = [];
let thread: SymbolThread | undefined;

function open(options: { readonly maxHeapMb?: number; readonly maxQuestionMs?: number } = {}): SymbolThread {
  logged = [];
  thread = new SymbolThread({ log: (message) => void logged.push(message), program, ...options });
  return thread;
}

afterEach(async () => {
  await thread?.[Symbol.asyncDispose]();
  thread = undefined;
});

async function failure(promise: Promise<unknown>): Promise<Pick<StillframeError, 'code' | 'message'>> {
  const { code, message } = await promise.then(
    () => expect.unreachable('it was answered'),
    (error: StillframeError) => error,
  );
  return { code, message };
}

test.each([
  ['exit', 'internal', 'cannot answer from debug information: the thread ended with 3'],
  ['throw', 'internal', 'cannot answer from debug information: a bug of the reader'],
  ['hang', 'limit', 'cannot answer from debug information: it took more than 5000 ms'],
  ['memory', 'limit', 'cannot answer from debug information: it needs more than 32 MiB of memory'],
])('a question that ends the thread (%s) fails alone', async (what, code, message) => {
  // A question waits for its thread to start, too, which takes a second where others want the processors.
  const symbols = open({ maxHeapMb: 32, maxQuestionMs: what === 'hang' ? 5000 : 60_000 });
  expect(await symbols.signature('before')).toEqual({ key: 'before', frames: [] });
  const answers = Promise.all([failure(symbols.signature(what)), symbols.signature('waited')]);
  expect(await answers).toEqual([
    { code, message },
    { key: 'waited', frames: [] },
  ]);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toMatch(/^the thread for debug information is replaced: /);
});

test('this thread goes on while a question is answered', async () => {
  const symbols = open({ maxQuestionMs: 500 });
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 10);
  expect(await failure(symbols.signature('hang'))).toMatchObject({ code: 'limit' });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
});

test('what waits when it is closed is refused, and so is what comes after', async () => {
  const symbols = open();
  const waiting = [failure(symbols.signature('hang')), failure(symbols.signature('waits'))];
  await symbols[Symbol.asyncDispose]();
  const stopping = { code: 'unreachable', message: 'the controller is stopping' };
  expect(await Promise.all(waiting)).toEqual([stopping, stopping]);
  expect(await failure(symbols.signature('late'))).toEqual(stopping);
});

test('more questions than it will ever answer are refused', async () => {
  const symbols = open();
  const asked = Array.from({ length: 1002 }, () => failure(symbols.signature('hang')));
  expect(await asked[1001]).toEqual({
    code: 'limit',
    message: 'cannot ask for debug information: 1000 questions wait already',
  });
  await symbols[Symbol.asyncDispose]();
});

test('the answers are those of this thread, errors of expressions too', async () => {
  const flags = ['-g', '-w', '-pthread', '-O0', '-gdwarf-5'];
  using core = crashCore(compileFixture('frames/stack.c', { cc: 'gcc', flags }), ['values']);
  const here = new SymbolsHere(openSymbols);
  thread = new SymbolThread({ log: (message) => void logged.push(message) });
  const show = { core: core.path, options: { depth: 2 } };
  expect(await thread.show(show)).toEqual(await here.show(show));
  const evaluate = { core: core.path, expressions: ['1 + 2', 'nobody->knows', '1 +'], options: {} };
  const [sum, ...errors] = await thread.evaluate(evaluate);
  const [sumHere, ...errorsHere] = await here.evaluate(evaluate);
  expect(sum).toEqual(sumHere);
  const told = (each: unknown): unknown => (each instanceof StillframeError ? plainError(each) : each);
  expect(errors.map(told)).toEqual(errorsHere.map(told));
  expect(errors.every((each) => each instanceof StillframeError)).toBe(true);
  expect(await thread.signature(core.path)).toEqual(await here.signature(core.path));
  expect(await thread.leaves(core.path)).toEqual(await here.leaves(core.path));
  expect(await failure(thread.show({ core: '/nowhere/core', options: {} }))).toMatchObject({
    code: 'not-found',
  });
});
