/**
 * What a whole core costs the process and how fast it is written, against a fork of the process's own and against gcore: the same process,
 * turn about, in one run. Pauses are the longest gap that a thread of the process saw, and what the engine says that it held threads still.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TracerSupervisor } from '../agent/tracer/supervisor.js';
import { median } from './machine.js';
import { compileBenchProgram, report } from './measure.js';

const rounds = 5;
const mebibyte = 1024 ** 2;

async function measure(megabytes: number): Promise<Readonly<Record<string, number>>> {
  const program = compileBenchProgram('probe-lab/memory.c', ['-O2', '-g']);
  const child = spawn(program, [String(megabytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: string): Promise<number> => {
    child.stdin.write(`${command}\n`);
    return Number((await lines.next()).value);
  };
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-core-'));
  await using tracer = new TracerSupervisor();
  try {
    await lines.next();
    const pid = child.pid ?? -1;
    const forks: number[] = [];
    const forkGaps: number[] = [];
    const stops: number[] = [];
    const copies: number[] = [];
    const gaps: number[] = [];
    const gcoreGaps: number[] = [];
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await ask('g');
      forks.push(await ask('f'));
      forkGaps.push(await ask('g'));
      const file = join(folder, 'fork.core');
      const made = await tracer.core(
        { pid, maxBytes: 2 ** 40, file, snapshot: '0t3k00000000', host: 'bench' },
        () => undefined,
      );
      gaps.push(await ask('g'));
      stops.push(made.stoppedNs / 1000);
      copies.push(made.copyNs / 1000);
      rates.push(made.storedBytes / mebibyte / (made.writeMs / 1000));
      rmSync(file);
      if (round > 1) continue;
      execFileSync('gcore', ['-o', join(folder, 'gcore'), String(pid)], { stdio: 'ignore' });
      gcoreGaps.push(await ask('g'));
      rmSync(join(folder, `gcore.${pid}`));
      // What it read is written no more now: the first fork after it would pay for that.
      await ask('f');
    }
    return {
      'own fork, ms': median(forks) / 1000,
      'own fork, longest gap of a thread, ms': median(forkGaps) / 1000,
      'threads held still, ms': median(stops) / 1000,
      'making the copy, ms': median(copies) / 1000,
      'longest gap of a thread, ms': median(gaps) / 1000,
      'gcore, longest gap of a thread, ms': median(gcoreGaps) / 1000,
      'threads held still / own fork (at most 1.2)': median(stops) / median(forks),
      'gcore gap / threads held still (at least 50)': median(gcoreGaps) / median(stops),
      // No copy that is made by a fork can be further below.
      'gcore gap / own fork': median(gcoreGaps) / median(forks),
      'written, MiB/s (at least 477)': median(rates),
    };
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

report('core', { '256 MiB': await measure(256), '1 GiB': await measure(1024) });
