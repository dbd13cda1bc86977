/** The measured loop of native-fixtures/probe-lab/loop.c. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Loop extends AsyncDisposable {
  readonly pid: number;
  /** Nanoseconds that so many calls took: by the clock, and of the thread's own CPU time, which other load does not change. */
  run(calls: number): Promise<{ readonly wallNs: number; readonly cpuNs: number }>;
}

export async function startLoop(program: string, args: readonly string[] = []): Promise<Loop> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    pid: child.pid ?? -1,
    async run(calls) {
      child.stdin.write(`${calls}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the measured program ended');
      const [wallNs = Number.NaN, cpuNs = Number.NaN] = line.value.split(' ').map(Number);
      return { wallNs, cpuNs };
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
