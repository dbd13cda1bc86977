/** A front that goes while its tracer answers it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ToTracer } from '../../../agent/tracer/protocol.js';
import { repositoryRoot } from '../../support/paths.js';

test('the tracer vanishes, and does not end as a program does that failed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  try {
    const tracer = fork(join(repositoryRoot, 'dist', 'agent', 'tracer', 'main.js'), [folder], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    tracer.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    await once(tracer, 'message');
    // It finds the question, and its asker gone, at once.
    tracer.kill('SIGSTOP');
    for (let id = 1; id <= 20; id++) {
      const question: ToTracer = { id, call: 'processFacts', parameters: { pid: process.pid } };
      tracer.send(question);
    }
    tracer.disconnect();
    const exit = once(tracer, 'exit');
    tracer.kill('SIGCONT');
    expect(await exit, said).toEqual([null, 'SIGKILL']);
    expect(said).toBe('');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
