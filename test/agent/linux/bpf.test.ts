/** Loading of programs while signals come in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { getuid } from 'node:process';
import { expect, test } from 'vitest';
import { loadProgram } from '../../../agent/linux/bpf.js';
import { requireFeature } from '../../support/require-feature.js';

/** `r0 = 0` again and again, then `exit`. */
function longProgram(instructions: number): Uint8Array {
  const bytes = new Uint8Array(instructions * 8);
  for (let at = 0; at < bytes.length; at += 8) bytes[at] = 0xb7;
  bytes[bytes.length - 8] = 0x95;
  return bytes;
}

test('a signal that comes while the verifier looks at a program does not refuse it', async (context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
  let signals = 0;
  const count = (): void => {
    signals++;
  };
  process.on('SIGUSR2', count);
  const storm = spawn('sh', ['-c', `while kill -USR2 ${process.pid}; do sleep 0.002; done`], {
    stdio: 'ignore',
  });
  await once(storm, 'spawn');
  try {
    const bytes = longProgram(20_000);
    const began = performance.now();
    const leastMs = 2000;
    const patienceMs = 60_000;
    // A busy machine may need longer for as many signals.
    while (performance.now() - began < (signals > 10 ? leastMs : patienceMs)) {
      const loaded = loadProgram({
        type: 'BPF_PROG_TYPE_KPROBE',
        attachType: 'BPF_CGROUP_INET_INGRESS',
        name: 'long',
        bytes,
        sleepable: false,
      });
      if ('log' in loaded) throw new Error(`errno ${loaded.errno}: ${loaded.log}`);
      loaded[Symbol.dispose]();
      await new Promise(setImmediate);
    }
    expect(signals).toBeGreaterThan(10);
  } finally {
    const gone = once(storm, 'exit');
    storm.kill('SIGKILL');
    await gone;
    process.off('SIGUSR2', count);
  }
});
