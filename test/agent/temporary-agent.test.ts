/** An agent that was started for one command, whose command is gone before it is ready. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/paths.js';

test('an agent whose command is gone before it is ready ends in order, and leaves no folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-temporary-'));
  try {
    const sockets = join(folder, 'sockets');
    const spool = join(folder, 'spool');
    const program = join(repositoryRoot, 'bin', 'stillframe.js');
    const options = ['--listen', `unix:${join(sockets, 'agent.sock')}`, '--spool', spool, '--temporary'];
    const child = spawn(process.execPath, [program, 'agent', ...options, '--log-level', 'silent'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    // As when the process at the other ends was killed.
    for (const pipe of child.stdio) pipe?.destroy();
    expect(await ended).toEqual([0, null]);
    expect(existsSync(sockets)).toBe(false);
    expect(readdirSync(spool)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
