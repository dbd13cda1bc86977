/** `stillframe log`: lines in order with the values of their hits, a rate that says what it left out, and nothing that stays. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkplace } from '../support/cli.js';
import { compileFixture } from '../support/compile.js';
import { startProgram } from '../support/running-program.js';

interface Line {
  readonly text?: string;
  readonly time?: string;
  readonly level?: string;
  readonly dropped?: number;
}

const kinds = ['RED /', 'GREEN /items/with/a/path/that/is/longer/than/thirty', 'BLUE /cart'];

test(
  'lines come in order with the values of their hits; what has none is counted',
  { timeout: 90_000 },
  async () => {
    await using workplace = openWorkplace();
    await workplace.startAgent();
    const path = compileFixture('probe-lab/passes.c', { cc: 'gcc', flags: ['-g', '-O2', '-pthread'] });
    await using passes = startProgram(path, ['1']);
    await passes.nextLine();
    passes.child.stdin.write('free\n');
    const template = '{request->kind} {request->path} {request->size} {request->size:x} {{{request->tag}}}';
    const options = ['--if', 'request->size > 0', '--rate', '10/s', '--for', '3s', '--level', 'warn'];
    const documents = (await workplace.json(
      'log',
      String(passes.pid),
      'pass',
      template,
      ...options,
    )) as Line[];
    const lines = documents.filter(({ text }) => text !== undefined);
    expect(lines.length).toBeGreaterThan(5);
    // At most one in 100 ms, from the arming to the removal.
    const times = lines.map(({ time = '' }) => time);
    expect(times.toSorted()).toEqual(times);
    for (const { text = '', level } of lines) {
      expect(level).toBe('warn');
      const [, what = '', size = '', hex = '', tag = ''] =
        /^(\w+ \S+) (\d+) (0x[0-9a-f]+) \{(\w+)\}$/.exec(text) ?? [];
      expect(kinds).toContain(what);
      expect(BigInt(hex)).toBe(BigInt(size));
      expect(['red', 'gren', 'blu'][kinds.indexOf(what)]).toBe(tag);
    }
    expect(documents.reduce((sum, { dropped = 0 }) => sum + dropped, 0)).toBeGreaterThan(1000);
    // No core is kept, here or there.
    expect(await workplace.json('snapshots')).toEqual([]);
    const spool = join(workplace.folder, 'spool');
    expect(existsSync(spool) ? readdirSync(spool).filter((file) => file.endsWith('.core')) : []).toEqual([]);
  },
);
