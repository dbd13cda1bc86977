/**
 * Targets that fight back, against each engine that stops or looks: it works or refuses with the reason, and the target comes to no harm: alive, its
 * arithmetic right, no signal lost, no thread stopped or traced, no copy and no zombie left.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CapturedProcess } from '../../../../agent/tracer/client.js';
import { MemoryGuard } from '../../../../agent/engines/fork/memory-guard.js';
import { toStillframeError, type StillframeError } from '../../../../format/error.js';
import { compileNative, go, rustc } from '../../../support/compile-native.js';
import { startProgram, type RunningProgram } from '../../../support/running-program.js';
import { openToldTracer } from '../../../support/told-tracer.js';
import { threadTraces } from '../ptrace/target.js';
import { expectUnharmed, type OwnState } from './harm.js';
import { hostileProgram, program32 } from './target.js';

type Operation = 'ptrace' | 'observe' | 'fork';
const operations: readonly Operation[] = ['ptrace', 'observe', 'fork'];
const rounds = 3;

interface Row extends OwnState {
  readonly what: string;
  readonly start: () => RunningProgram;
  /** The exact words, `PID` for the process, of engines that refuse. */
  readonly refused?: Partial<Record<Operation, RegExp>>;
  /** Before the engines are tried. */
  readonly prepare?: (target: RunningProgram) => Promise<void> | void;
}

const hostile =
  (...args: readonly string[]) =>
  (): RunningProgram =>
    startProgram(hostileProgram, args);

const asUser = (user: number, ...wrapper: readonly string[]) => {
  const [command, ...rest] = ['setpriv', `--reuid=${user}`, `--clear-groups`, ...wrapper];
  return (): RunningProgram => startProgram(command, [...rest, hostileProgram]);
};

/** A copy of the program that is root's whoever starts it. */
function startSetuid(user: number): RunningProgram {
  const path = join(folder, 'setuid');
  copyFileSync(hostileProgram, path);
  chmodSync(path, 0o4755);
  chmodSync(folder, 0o755);
  return startProgram('setpriv', [`--reuid=${user}`, '--clear-groups', path]);
}

const tracedAlready = /process PID: .*process \d+ traces it already$/;

const refused32 = /^cannot look into process PID: it is a 32-bit program$/;

const rows: readonly Row[] = [
  { what: 'that is in a storm of signals', start: hostile('storm') },
  { what: 'that makes and ends 200 threads a second', start: hostile('threads') },
  { what: 'that calls vfork all the time', start: hostile('vfork') },
  { what: 'that handles SIGTRAP of its own', start: hostile('trap') },
  { what: 'that forbids dumps', start: hostile('undumpable') },
  {
    what: 'with a thread that waits uninterruptibly (D)',
    start: hostile('vfork-parent'),
    prepare: async (target) => await untilState(target.pid, 'D'),
  },
  {
    what: 'that is stopped (T)',
    start: hostile(),
    prepare: async (target) => {
      target.child.kill('SIGSTOP');
      await untilState(target.pid, 'T');
    },
    state: 'T',
    release: (target) => void target.child.kill('SIGCONT'),
  },
  {
    what: 'that is traced already',
    start: hostile('traced'),
    prepare: async (target) => {
      while (threadTraces(target.pid).every(({ tracer }) => tracer === 0)) await sleep(5);
    },
    traced: true,
    refused: { ptrace: tracedAlready, fork: tracedAlready },
  },
  { what: 'of another user', start: asUser(12_345) },
  {
    what: 'that is setuid, of an ordinary user',
    start: () => startSetuid(12_348),
    prepare: ({ pid }) =>
      expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\t12348\t0\t0\t0$/m),
  },
  {
    what: 'that may make no more processes (RLIMIT_NPROC)',
    start: asUser(12_346, 'prlimit', '--nproc=3', '--'),
    refused: { fork: /^cannot copy the process: the helper could not be made: clone: EAGAIN$/ },
  },
  {
    what: 'that may make one more process',
    start: asUser(12_347, 'prlimit', '--nproc=4', '--'),
    refused: { fork: /^cannot copy the process: the copy could not be made: clone: EAGAIN$/ },
  },
  {
    what: 'of 32 bits',
    start: () => startProgram(program32),
    refused: { ptrace: refused32, observe: refused32, fork: refused32 },
  },
  { what: 'of Go', start: () => startProgram(goProgram()) },
  { what: 'of Rust', start: () => startProgram(rustProgram()) },
  { what: 'that is node', start: () => startProgram(process.execPath, ['-e', nodeScript]) },
];

async function untilState(pid: number, state: string): Promise<void> {
  while (threadTraces(pid).every((thread) => thread.state !== state)) await sleep(5);
}

const told = openToldTracer();
const { tracer } = told;
const folder = mkdtempSync(join(tmpdir(), 'stillframe-hostile-'));
afterAll(async () => {
  await told[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const nothing = (): void => undefined;

async function run(operation: Operation, pid: number): Promise<void> {
  if (operation === 'fork') {
    const file = join(folder, `${pid}.core`);
    await tracer.core({ pid, file, maxBytes: 2 ** 32, snapshot: '0t3k00000000', host: 'here' }, nothing);
    rmSync(file);
    return;
  }
  const request = { pid, tids: [], stackBytes: 4096, maxBytes: 2 ** 22, engine: operation };
  const { capture }: CapturedProcess = await tracer.now(request);
  expect(capture.engine).toBe(operation);
  expect(capture.threads.length).toBeGreaterThan(0);
  for (const thread of capture.threads)
    expect(thread.registers !== undefined || thread.absent !== undefined).toBe(true);
}

describe('a target', () => {
  test.each(rows)('$what', async (row) => {
    await using target = row.start();
    expect(await target.nextLine()).toBe('up');
    await row.prepare?.(target);
    for (const operation of operations) {
      const refusal = row.refused?.[operation];
      for (let i = 0; i < rounds; i++) {
        const error = await run(operation, target.pid).then(
          () => undefined,
          (thrown: unknown) => toStillframeError(thrown),
        );
        if (refusal === undefined) {
          // What could not stop for want of a processor, or in a storm of signals, was not touched, and says so.
          if (error?.code === 'limit') continue;
          expect(error).toBeUndefined();
        } else {
          expect(error?.message.replaceAll(String(target.pid), 'PID')).toMatch(refusal);
        }
      }
    }
    await expectUnharmed(target, row);
  });
});

describe('a target in a control group, of 64 MiB that it writes to all the time', () => {
  const group = `/sys/fs/cgroup/memory/stillframe-test-${process.pid}`;
  beforeAll(() => {
    mkdirSync(group);
  });
  afterAll(() => {
    rmdirSync(group);
  });

  const copyIn = async (limitMebibytes: number, megabytes: number): Promise<StillframeError | undefined> => {
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(limitMebibytes << 20));
    await using target = startProgram('sh', [
      '-c',
      `echo $$ > ${group}/cgroup.procs && exec ${hostileProgram} memory ${megabytes}`,
    ]);
    expect(await target.nextLine()).toBe('up');
    const error = await run('fork', target.pid).then(() => undefined, toStillframeError);
    await expectUnharmed(target, {});
    return error;
  };

  test('is copied where there is room for all that it may write meanwhile', async () => {
    expect(await copyIn(224, 64)).toBeUndefined();
  });

  test('is refused where there is not', async () => {
    expect((await copyIn(96, 64))?.message).toMatch(
      /^cannot copy process \d+: its control group has \d+ MiB of memory left, and 1[23]\d MiB are to be spared: /,
    );
  });

  test('is to be given up when others of the group take what is left', async () => {
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(224 << 20));
    const start = (megabytes: number): RunningProgram =>
      startProgram('sh', [
        '-c',
        `echo $$ > ${group}/cgroup.procs && exec ${hostileProgram} memory ${megabytes}`,
      ]);
    await using target = start(64);
    await target.nextLine();
    const guard = new MemoryGuard(target.pid);
    guard.checkBefore();
    expect(guard.whyGiveUp()).toBeUndefined();
    await using other = start(130);
    await other.nextLine();
    expect(guard.whyGiveUp()?.message).toMatch(
      /^gave up the copy of process \d+: its control group has \d+ MiB of memory left, and 32 MiB/,
    );
  });
});

function goProgram(): string {
  const source = `package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

var rounds, wrong int64

func work(n int) int {
	if n < 2 {
		return n
	}
	return work(n-1) + work(n-2)
}

func busy() {
	for {
		kept := make(map[int][]int)
		for i := 0; i < 20; i++ {
			kept[i] = make([]int, 100)
			kept[i][i] = work(10)
		}
		for i := 0; i < 20; i++ {
			if kept[i][i] != 55 {
				atomic.AddInt64(&wrong, 1)
			}
		}
		atomic.AddInt64(&rounds, 1)
		time.Sleep(200 * time.Microsecond)
	}
}

func main() {
	for i := 0; i < 20; i++ {
		go busy()
	}
	go func() {
		for {
			runtime.GC()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	fmt.Println("up")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(atomic.LoadInt64(&rounds), atomic.LoadInt64(&wrong))
	}
}
`;
  return compileNative(source, 'hostile', go());
}

function rustProgram(): string {
  const source = `use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

static ROUNDS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

fn main() {
    let total = Arc::new(Mutex::new(0u64));
    let (send, receive) = mpsc::channel::<u64>();
    for _ in 0..3 {
        let (total, send) = (total.clone(), send.clone());
        std::thread::spawn(move || loop {
            let sum: u64 = (0..1000u64).map(|i| i.wrapping_mul(3)).sum();
            *total.lock().unwrap() += sum;
            send.send(sum).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        });
    }
    std::thread::spawn(move || loop {
        match receive.recv_timeout(Duration::from_millis(5000)) {
            Ok(1498500) => { ROUNDS.fetch_add(1, SeqCst); }
            _ => { WRONG.fetch_add(1, SeqCst); }
        }
    });
    println!("up");
    for _ in std::io::stdin().lock().lines() {
        println!("{} {}", ROUNDS.load(SeqCst), WRONG.load(SeqCst));
    }
}
`;
  return compileNative(source, 'hostile', rustc('-O'));
}

const nodeScript = `
let rounds = 0, wrong = 0;
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
setInterval(() => {
  const made = new Function('x', 'return x * 3 + ' + (rounds % 7));
  if (fib(15) !== 610 || made(5) !== 15 + (rounds % 7)) wrong++;
  rounds++;
}, 1);
require('node:readline').createInterface({ input: process.stdin }).on('line', () => console.log(rounds, wrong));
console.log('up');
`;
