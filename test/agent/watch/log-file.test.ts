import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogFileRule } from '../../../agent/policy/log-files.js';
import { LogFile } from '../../../agent/watch/log-file.js';

const anything: LogFileRule = { name: 'the default limits', patterns: undefined };

let folder: string;
let path: string;
let lines: string[];
let file: LogFile;
let nowMs = 0;

function watch(at: string = path, rule: LogFileRule = anything): void {
  file?.[Symbol.dispose]();
  lines = [];
  file = new LogFile({ path: at, rule, line: (text) => lines.push(text) });
  file.look((nowMs += 250));
}

/** One look, and all that there is to read. */
function poll(ms = 250): string[] {
  const before = lines.length;
  file.look((nowMs += ms));
  for (let i = 0; file.read(nowMs); i++) if (i > 10_000) throw new Error('it does not end');
  return lines.slice(before);
}

const write = (text: string | Buffer): void => appendFileSync(path, text);
/** Descriptors on files of this test. */
const open = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'stillframe-log-')));
  path = join(folder, 'app.log');
  writeFileSync(path, 'old\n');
  watch();
});
afterEach(() => {
  file[Symbol.dispose]();
  expect(open()).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});

describe('lines', () => {
  test('from now on, and not what was there', () => {
    expect(poll()).toEqual([]);
    write('one\ntwo\r\n\n');
    expect(poll()).toEqual(['one', 'two', '']);
    expect(poll()).toEqual([]);
  });

  test('the last one waits for its newline', () => {
    write('begun');
    expect(poll()).toEqual([]);
    write(' and ended\nnext');
    expect(poll()).toEqual(['begun and ended']);
    write('\n');
    expect(poll()).toEqual(['next']);
  });

  test('one that was begun before is told whole when it ends', () => {
    write('half ');
    watch();
    write('and half\nmore\n');
    expect(poll()).toEqual(['half and half', 'more']);
  });

  test('the first of a file that has only that', () => {
    writeFileSync(path, 'no newline yet');
    watch();
    write('\n');
    expect(poll()).toEqual(['no newline yet']);
  });

  test('a very long one is cut, and does not hurt the next', () => {
    const long = 'x'.repeat(70_000);
    write(`${long}\nshort\n${long}`);
    expect(poll().map((line) => line.length)).toEqual([65_536, 5]);
    write(`${long}${long}`);
    expect(poll()).toEqual([]);
    write('\nlast\n');
    expect(poll().map((line) => line.length)).toEqual([65_536, 4]);
  });

  test('one so long that its beginning is not known is left out', () => {
    write('y'.repeat(200_000));
    watch();
    write('z\nnext\n');
    expect(poll()).toEqual(['next']);
  });

  test('junk is text of some kind, and lines stay lines', () => {
    write(Buffer.from([0xff, 0x00, 0x0a, 0xc3, 0x0a, 0x1b, 0x5b, 0x0a]));
    expect(poll()).toEqual(['\u{fffd}\0', '\u{fffd}', '\u{1b}[']);
    const junk = Buffer.alloc(300_000);
    for (let i = 0; i < junk.length; i++) junk[i] = (i * 7919) & 0xff;
    write(junk);
    write('\nend\n');
    expect(poll().at(-1)).toBe('end');
  });

  test('characters that are cut by pieces of reading are whole', () => {
    const text = 'ä€😀'.repeat(30_000).slice(0, 60_000);
    write(`${'-'.repeat(3)}\n${text.slice(0, 20_000)}\n${text.slice(0, 20_000)}\n`);
    const [, first, second] = poll();
    expect(first).toBe(text.slice(0, 20_000));
    expect(second).toBe(first);
  });
});

describe('rotation', () => {
  test('by renaming and creating', () => {
    write('a\n');
    renameSync(path, `${path}.1`);
    appendFileSync(`${path}.1`, 'late\n');
    writeFileSync(path, 'b\n');
    expect(poll()).toEqual(['a', 'late', 'b']);
    // Who writes has not noticed yet.
    appendFileSync(`${path}.1`, 'later\n');
    write('c\n');
    expect(poll()).toEqual(['later', 'c']);
  });

  test('several times between two looks: the ones in between are not known, the old one is read to its end', () => {
    write('a\nb\n');
    renameSync(path, `${path}.2`);
    writeFileSync(path, 'lost\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'c\n');
    expect(poll()).toEqual(['a', 'b', 'c']);
  });

  test('with a pause in which there is no file', () => {
    write('a\n');
    renameSync(path, `${path}.1`);
    expect(poll()).toEqual(['a']);
    expect(file.detail).toBe(`cannot watch "${path}": there is no such file`);
    expect(poll()).toEqual([]);
    writeFileSync(path, 'b\n');
    expect(poll()).toEqual(['b']);
    expect(file.detail).toBe('');
  });

  test('by copying and truncating', () => {
    write('a\nb\n');
    expect(poll()).toEqual(['a', 'b']);
    copyFileSync(path, `${path}.1`);
    truncateSync(path, 0);
    expect(poll()).toEqual([]);
    write('c\n');
    expect(poll()).toEqual(['c']);
  });

  test('by copying and truncating, grown again past the place between two looks', () => {
    write('a\n');
    expect(poll()).toEqual(['a']);
    truncateSync(path, 0);
    write('this is a line that is longer than all before\nand another\n');
    expect(poll()).toEqual(['this is a line that is longer than all before', 'and another']);
  });

  test('a half line that was truncated away does not begin the next', () => {
    write('half');
    expect(poll()).toEqual([]);
    truncateSync(path, 0);
    write('whole\n');
    expect(poll()).toEqual(['whole']);
  });

  test('by removing: what was written before is read, and the descriptor is given up later', () => {
    write('a\n');
    unlinkSync(path);
    expect(poll()).toEqual(['a']);
    expect(open()).toBe(1);
    poll(31_000);
    expect(open()).toBe(0);
  });

  test('without end: a few old files are kept open and no more', () => {
    for (let i = 0; i < 50; i++) {
      write(`${i}\n`);
      renameSync(path, `${path}.${i}`);
      writeFileSync(path, '');
      expect(poll()).toEqual([String(i)]);
    }
    expect(open()).toBeLessThanOrEqual(5);
    // One that was given up with something in it is said.
    for (let i = 50; i < 56; i++) {
      appendFileSync(path, 'unread\n');
      renameSync(path, `${path}.${i}`);
      writeFileSync(path, '');
      file.look((nowMs += 250));
    }
    expect(file.detail).toMatch(/^7 bytes of a file that was replaced were not read/);
  });
});

describe('a file that is not there at first', () => {
  test('is read from its start when it comes', () => {
    const later = join(folder, 'later', 'app.log');
    watch(later);
    expect(file.detail).toBe(`cannot watch "${later}": there is no such file`);
    mkdirSync(join(folder, 'later'));
    writeFileSync(later, 'first\n');
    expect(poll()).toEqual(['first']);
  });
});

describe('what is no file with lines', () => {
  test.each([
    ['a folder', (): string => folder],
    [
      'a pipe',
      (): string => {
        const pipe = join(folder, 'pipe');
        execFileSync('mkfifo', [pipe]);
        return pipe;
      },
    ],
    ['a device', (): string => '/dev/zero'],
  ])('%s', (_, make) => {
    const at = make();
    watch(at);
    expect(file.detail).toBe(`cannot watch "${at}": it is no regular file`);
    expect(poll()).toEqual([]);
  });

  test('a file of the kernel', () => {
    for (const at of ['/proc/self/status', '/sys/kernel/mm/transparent_hugepage/enabled']) {
      watch(at);
      expect(file.detail).toBe(`cannot watch "${at}": it is a file of the kernel`);
    }
    const link = join(folder, 'link');
    symlinkSync('/proc/self/environ', link);
    watch(link);
    expect(file.detail).toBe(`cannot watch "${link}": it is a file of the kernel`);
  });

  test('links in a circle', () => {
    const link = join(folder, 'circle');
    symlinkSync(link, link);
    watch(link);
    expect(file.detail).toBe(`cannot watch "${link}": its links lead in a circle`);
  });
});

describe('a policy', () => {
  test('is asked of the real path, whatever link leads there', () => {
    mkdirSync(join(folder, 'logs'));
    mkdirSync(join(folder, 'secrets'));
    writeFileSync(join(folder, 'logs', 'app.log'), '');
    writeFileSync(join(folder, 'secrets', 'key'), '');
    symlinkSync(join(folder, 'secrets', 'key'), join(folder, 'logs', 'link'));
    symlinkSync(join(folder, 'logs', 'app.log'), join(folder, 'allowed'));
    const rule = { name: 'policy "p.json"', patterns: [join(folder, 'logs', '*')] };
    const details = [join('logs', 'app.log'), join('logs', 'link'), 'allowed', 'app.log'].map((name) => {
      watch(join(folder, name), rule);
      return file.detail;
    });
    expect(details).toEqual([
      '',
      `cannot watch "${join(folder, 'logs', 'link')}": policy "p.json" does not allow "${join(folder, 'secrets', 'key')}" (not in logFiles)`,
      '',
      `cannot watch "${path}": policy "p.json" does not allow "${path}" (not in logFiles)`,
    ]);
  });

  test('that names no files allows none', () => {
    watch(path, { name: 'policy "p.json"', patterns: [] });
    expect(file.detail).toContain('does not allow');
    write('x\n');
    expect(poll()).toEqual([]);
  });

  test('is asked again when another file takes the place', () => {
    const rule = { name: 'policy "p.json"', patterns: [path] };
    watch(path, rule);
    write('a\n');
    expect(poll()).toEqual(['a']);
    writeFileSync(join(folder, 'secret'), 'password\n');
    unlinkSync(path);
    symlinkSync(join(folder, 'secret'), path);
    expect(poll()).toEqual([]);
    expect(file.detail).toContain(`does not allow "${join(folder, 'secret')}"`);
  });
});

test('what is too far behind is passed over, and the next whole line is read', () => {
  // Sparse: nothing of it is on the disk.
  truncateSync(path, 2 * 1024 ** 3);
  expect(file.skipExcess()).toBeGreaterThan(1024 ** 3);
  expect(file.behind()).toBe(0);
  write('rest of a line that nobody knows\nnext\n');
  expect(poll()).toEqual(['next']);
  expect(file.skipExcess()).toBe(0);
});
