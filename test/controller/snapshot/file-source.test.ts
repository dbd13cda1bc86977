import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFileSource } from '../../../controller/snapshot/file-source.js';

test('a pipe is refused, and not waited for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
  try {
    const pipe = join(folder, 'libc.so.6');
    execFileSync('mkfifo', [pipe]);
    expect(() => openFileSource(pipe)).toThrow(`cannot open "${pipe}": not a regular file`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
