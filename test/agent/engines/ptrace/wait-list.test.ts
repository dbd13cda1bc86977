/** The list of a wait: whether it looks for the next stop or sleeps until it comes, the same stops are taken. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CallBatch } from '../../../../agent/linux/call-batch.js';
import {
  PTRACE_O_EXITKILL,
  WALL,
  WNOTHREAD,
  encodeStop,
  resume,
  seize,
  wait,
} from '../../../../agent/linux/ptrace.js';
import { WaitLimit } from '../../../../agent/linux/wait-limit.js';
import { type DecidedSite, roomOf } from '../../../../agent/engines/ptrace/decided-sites.js';
import { RegisterSlots } from '../../../../agent/engines/ptrace/registers.js';
import {
  addWait,
  lookRecords,
  reserveWaitWords,
  waitRecords,
  waitWords,
} from '../../../../agent/engines/ptrace/wait-list.js';
import { compileC } from '../../../support/compile-c.js';
import { symbolAddress } from './target.js';

const SIGTRAP = 5;
const trapStop = BigInt(encodeStop({ signal: SIGTRAP, event: 0 }));
const nothing = -1n;
const looks = 5n;
const looksAgain = 7n;
/** Far longer than a test takes, in seconds of CLOCK_MONOTONIC. */
const never = 1n << 40n;

/** Waits for its tracer, stopped, and then passes a breakpoint of its own every few milliseconds. */
const program = compileC(
  `#include <signal.h>
#include <time.h>

void hit(void);
__asm__(".text\\n.globl hit\\n.type hit, @function\\nhit: int3\\n  ret\\n");

int main(void) {
  raise(SIGSTOP);
  struct timespec rest = {0, 5000000};
  for (;;) {
    nanosleep(&rest, 0);
    hit();
  }
}
`,
  { name: 'own-breakpoints', flags: ['-O1', '-no-pie'] },
);

let pid = 0;
const status = Buffer.alloc(4);

beforeAll(async () => {
  // NB: of a child of Node's own, libuv would take the stops.
  const script = '"$0" >/dev/null 2>&1 & echo $!';
  const shell = spawn('/bin/sh', ['-c', script, program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(shell, 'exit');
  let output = '';
  for await (const text of shell.stdout.setEncoding('utf8')) output += String(text);
  await exit;
  pid = Number(output);
  seize(pid, PTRACE_O_EXITKILL);
  process.kill(pid, 'SIGCONT');
});

afterAll(() => {
  process.kill(pid, 'SIGKILL');
  while (wait(pid, WALL | WNOTHREAD, status).kind === 'stopped') resume(pid, 0);
});

/** Waits until two passes have been taken, or the list ends for another reason: stops that are not of the breakpoint go on. */
function takeTwo(how: { readonly looks: bigint; readonly looksAgain: bigint }): {
  readonly hits: bigint;
  /** How often it was looked for a stop before it slept for the last time. */
  readonly looked: bigint;
} {
  using slots = new RegisterSlots(1);
  using limit = new WaitLimit();
  let hits = 0n;
  const site: DecidedSite = {
    address: symbolAddress(program, 'hit'),
    bias: 0n,
    condition: undefined,
    brings: undefined,
    by: { advance: 1n },
    count: (counted) => {
      hits += counted.hits;
    },
  };
  const room = roomOf([site]);
  using batch = new CallBatch(waitRecords + room.records, waitWords + room.words);
  const words = reserveWaitWords(batch);
  const list = addWait(batch, {
    words,
    general: slots.prepare(0).general,
    limit,
    sites: [site],
    ahead: undefined,
  });
  using _sites = list.sites;
  batch.seal();
  const most = (waitRecords + room.records + lookRecords * 16) * 8;
  for (let turn = 0; turn < 400; turn++) {
    batch.write(words.signal, nothing);
    batch.write(words.trap, trapStop);
    batch.write(words.decides, 1n);
    batch.write(words.left, 2n);
    batch.write(words.deadline, never);
    batch.write(words.looked, 0n);
    batch.write(words.looks, how.looks);
    batch.write(words.looksAgain, how.looksAgain);
    batch.write(words.isTimed, 0n);
    const ended = batch.run(list.wait, most);
    const looked = batch.read(words.looked);
    const isTwo = hits === 0n && batch.read(words.left) === 0n;
    list.sites.tell();
    if (isTwo) return { hits, looked };
    hits = 0n;
    // What it stopped for when it was started.
    if (ended === list.other || ended === list.seen) resume(Number(batch.read(words.tid)), 0);
  }
  throw new Error('the breakpoint was not passed twice before the wait was over');
}

/** On a busy machine the stop may be there at the first look, which is not counted. */
function takeTwoLooking(how: Parameters<typeof takeTwo>[0]): ReturnType<typeof takeTwo> {
  for (let turn = 0; turn < 100; turn++) {
    const taken = takeTwo(how);
    if (taken.looked > 0n) return taken;
  }
  throw new Error('the list did not look');
}

test('sleeps for each stop', () => {
  expect(takeTwo({ looks: 0n, looksAgain: 0n })).toMatchObject({ hits: 2n, looked: 0n });
});

test('looks for the next stop before it sleeps', () => {
  const { hits, looked } = takeTwoLooking({ looks, looksAgain });
  expect(hits).toBe(2n);
  expect(looked).toBeLessThanOrEqual(looksAgain);
});

test('looks only after hits that it has taken', () => {
  const { hits, looked } = takeTwoLooking({ looks: 0n, looksAgain });
  expect(hits).toBe(2n);
  expect(looked).toBeLessThanOrEqual(looksAgain);
});

test('looks only for the first', () => {
  expect(takeTwo({ looks, looksAgain: 0n })).toMatchObject({ hits: 2n, looked: 0n });
});
