/**
 * What it costs to observe 50 threads: the kernel's time for one pass of the task iterator (its own count, `BPF_ENABLE_STATS`), the
 * whole of "now" as a caller sees it, and eu-stack of the same process, which stops it.
 *
 * usage: node dist/bench/observe.js [--json]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { observeEngine } from '../agent/engines/observe/engine.js';
import { TaskPass } from '../agent/engines/observe/task-pass.js';
import { enableRunStatistics } from '../agent/linux/bpf.js';
import { readTids, readThreadStatus } from '../agent/linux/proc.js';
import { median } from './machine.js';
import { best, compileBenchProgram, report } from './measure.js';
import { startLoop } from './loop.js';

const threads = 50;
const rounds = 40;
const stackBytes = 16_384;

const program = compileBenchProgram('probe-lab/sleepers.c', ['-g', '-O1']);
await using target = await startLoop(program, [String(threads)]);

const whole: number[] = [];
const engine = observeEngine();
for (let i = 0; i < rounds; i++) {
  const begin = performance.now();
  const capture = await engine.now?.({ pid: target.pid, tids: [], stackBytes, maxBytes: 4 << 20 });
  whole.push(performance.now() - begin);
  if (capture?.threads.length !== threads + 1) throw new Error('threads are missing');
}

const kernel: number[] = [];
{
  using _statistics = enableRunStatistics();
  using pass = new TaskPass({ stackBytes, threads: threads + 8 });
  for (let i = 0; i < rounds; i++) {
    const before = pass.runTimeNs();
    const found = pass.run(target.pid);
    kernel.push((pass.runTimeNs() - before) / found.length);
  }
}

// A thread that is stopped and resumed is switched once more, by no will of its own.
const stopped = readTids(target.pid).filter(
  (tid) => readThreadStatus(target.pid, tid).tracerPid !== 0,
).length;
const switchesBefore = switches();
await engine.now?.({ pid: target.pid, tids: [], stackBytes, maxBytes: 4 << 20 });
const switched = switches() - switchesBefore;

const peer: number[] = [];
for (let i = 0; i < 5; i++) {
  const begin = performance.now();
  const run = spawnSync('eu-stack', ['-q', '-p', String(target.pid)]);
  if (run.status !== 0) throw new Error(`eu-stack: ${String(run.stderr)}`);
  peer.push(performance.now() - begin);
}

report('observe', {
  '50 threads, registers and 16 KiB of stack each': {
    'kernel, us a thread (at most 15)': median(kernel) / 1000,
    'kernel, us a thread, best tenth': best(kernel) / 1000,
    'whole call, ms': median(whole),
    'eu-stack, ms': median(peer),
    'threads that were traced': stopped,
    'switches of all threads during a call': switched,
  },
});

function switches(): number {
  return readTids(target.pid).reduce((sum, tid) => {
    const status = readFileSync(`/proc/${target.pid}/task/${tid}/status`, 'utf8');
    const counts = [...status.matchAll(/ctxt_switches:\s(\d+)/g)].map((match) => Number(match[1]));
    return sum + counts.reduce((all, count) => all + count, 0);
  }, 0);
}
