import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sweepIncoming } from '../../../controller/store/blob.js';

test('what a writer left that was killed is removed soon, what may still be written is not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-blob-'));
  try {
    const incoming = join(folder, 'incoming');
    mkdirSync(incoming);
    const nowMs = Date.now();
    const gone = 4_194_305;
    const ages: readonly (readonly [string, number])[] = [
      [`${gone}-young`, 30],
      [`${gone}-old`, 120],
      [`${process.pid}-old`, 120],
      [`${process.pid}-ancient`, 7200],
    ];
    for (const [name, seconds] of ages) {
      writeFileSync(join(incoming, name), '');
      const time = new Date(nowMs - seconds * 1000);
      utimesSync(join(incoming, name), time, time);
    }
    sweepIncoming(folder, nowMs);
    expect(readdirSync(incoming).toSorted()).toEqual([`${gone}-young`, `${process.pid}-old`].toSorted());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
