/**
 * What it costs to observe 50 threads, and 1,000: the kernel's time for one pass of the task iterator (its own count, `BPF_ENABLE_STATS`), the
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

const rounds = 40;
const stackBytes = 16_384;

const program = compileBenchProgram('probe-lab/sleepers.c', ['-g', '-O1']);
report('observe', {
  '50 threads, registers and 16 KiB of stack each': await observe(50),
  '1,000 threads, registers and 2 KiB of stack each': await observe(1000, 2048),
});

async function observe(threads: number, stackBytesOfThread = stackBytes): Promise<Record<string, number>> {
  await using target = await startLoop(program, [String(threads)]);
  const order = { pid: target.pid, tids: [], stackBytes: stackBytesOfThread, maxBytes: 4 << 20 };
  const engine = observeEngine();
  const whole: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    const capture = await engine.now?.(order);
    whole.push(performance.now() - begin);
    if (capture?.threads.length !== threads + 1) throw new Error('threads are missing');
  }
  const kernel = kernelTimes(target.pid, threads, stackBytesOfThread);
  // A thread that is stopped and resumed is switched once more, by no will of its own.
  const traced = (tid: number): boolean => readThreadStatus(target.pid, tid).tracerPid !== 0;
  const stopped = readTids(target.pid).filter(traced).length;
  const switchesBefore = switches(target.pid);
  await engine.now?.(order);
  const switched = switches(target.pid) - switchesBefore;
  const peer: number[] = [];
  for (let i = 0; i < 5; i++) {
    const begin = performance.now();
    const run = spawnSync('eu-stack', ['-q', '-n', '64', '-p', String(target.pid)]);
    if (run.status !== 0) throw new Error(`eu-stack: ${String(run.stderr)}`);
    peer.push(performance.now() - begin);
  }
  return {
    'kernel, us a thread (at most 15)': median(kernel) / 1000 / threads,
    'kernel, us a thread, best tenth': best(kernel) / 1000 / threads,
    'kernel, ms for all of them': median(kernel) / 1e6,
    'whole call, ms': median(whole),
    'eu-stack, ms': median(peer),
    'threads that were traced': stopped,
    'switches of all threads during a call': switched,
  };
}

/** Nanoseconds of one pass over all threads, of each round, by the kernel's own count. */
function kernelTimes(pid: number, threads: number, stackBytesOfThread: number): number[] {
  using _statistics = enableRunStatistics();
  using pass = new TaskPass({ stackBytes: stackBytesOfThread, threads: threads + 8 });
  return Array.from({ length: rounds }, () => {
    const before = pass.runTimeNs();
    pass.run(pid);
    return pass.runTimeNs() - before;
  });
}

function switches(pid: number): number {
  return readTids(pid).reduce((sum, tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    const counts = [...status.matchAll(/ctxt_switches:\s(\d+)/g)].map((match) => Number(match[1]));
    return sum + counts.reduce((all, count) => all + count, 0);
  }, 0);
}
