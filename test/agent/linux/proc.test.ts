import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import {
  findEnvironment,
  findMapping,
  parseAuxv,
  parseCgroup,
  parseMaps,
  parseStat,
  parseStatus,
  parseStrings,
  parseSyscall,
  readComm,
  readMaps,
  readStat,
  readStatus,
  readTids,
} from '../../../agent/linux/proc.js';

const statTail = 'S 1 100 100 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 7 0 123456 1000 20 18446744073709551615';

describe('parseStat', () => {
  test.each([
    ['a plain name', 'sleep'],
    ['a name with spaces', 'a b c'],
    ['a name with a closing parenthesis', ') R 9'],
    ['a name that looks like the rest', 'x) Z 1 ('],
    ['a name with a newline', 'two\nlines'],
    ['an empty name', ''],
  ])('reads %s', (_, comm) => {
    expect(parseStat(`42 (${comm}) ${statTail}\n`)).toEqual({
      pid: 42,
      comm,
      state: 'S',
      parentPid: 1,
      threads: 7,
      cpuTicks: 11n,
      rssPages: 20,
      startTicks: 123456n,
    });
  });

  test.each([
    '',
    '42',
    '42 (x',
    '42 (x) S 1',
    '42 (x) SS 1',
    `42 (x) ${statTail.replace(' 20 1844', ' x 1844')}`,
  ])('refuses %j', (text) => {
    expect(() => parseStat(text)).toThrow(new StillframeError('bad-data', 'cannot parse stat: malformed'));
  });
});

describe('parseMaps', () => {
  test('reads paths with spaces, newlines and deletion', () => {
    const mappings = parseMaps(
      [
        '55d0c0000000-55d0c0001000 r-xp 00002000 08:1f 1234                       /tmp/a b (deleted)',
        '7f0000000000-7f0000001000 rw-s 00000000 00:05 7 /tmp/new\\012line',
        '7f0000002000-7f0000003000 rw-p 00000000 00:00 0 ',
        '7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]',
        'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
        '',
      ].join('\n'),
    );
    expect(mappings.map((m) => [m.path, m.deleted, m.device, m.inode, m.permissions, m.fileOffset])).toEqual([
      ['/tmp/a b', true, '8:31', 1234, 'r-xp', 0x2000],
      ['/tmp/new\nline', false, '0:5', 7, 'rw-s', 0],
      ['', false, '0:0', 0, 'rw-p', 0],
      ['[stack]', false, '0:0', 0, 'rw-p', 0],
      ['[vsyscall]', false, '0:0', 0, '--xp', 0],
    ]);
    expect(findMapping(mappings, 0x7f0000000fffn)?.path).toBe('/tmp/new\nline');
    expect(findMapping(mappings, 0x7f0000001000n)).toBeUndefined();
    expect(findMapping(mappings, 0xffffffffff600000n)?.path).toBe('[vsyscall]');
    expect(findMapping(mappings, 0n)).toBeUndefined();
  });

  test('refuses a malformed line, naming it', () => {
    expect(() => parseMaps('1000-2000 r-xp 0 08:01 1 /a\nnonsense\n')).toThrow(
      new StillframeError('bad-data', 'cannot parse maps: line 2 is malformed'),
    );
  });
});

describe('parseSyscall', () => {
  test.each([
    ['running\n', { running: true }],
    ['-1 0x7ffd10 0x401136\n', { running: false, number: -1, args: [], sp: 0x7ffd10n, pc: 0x401136n }],
    [
      '0 0x3 0x7fb0 0x20000 0x7fb1 0xff 0x0 0x7ffee9b8 0x7fb2ad\n',
      {
        running: false,
        number: 0,
        args: [3n, 0x7fb0n, 0x20000n, 0x7fb1n, 0xffn, 0n],
        sp: 0x7ffee9b8n,
        pc: 0x7fb2adn,
      },
    ],
  ])('reads %j', (text, expected) => {
    expect(parseSyscall(text)).toEqual(expected);
  });

  test('refuses anything else', () => {
    expect(() => parseSyscall('1 2 3 4')).toThrow(
      new StillframeError('bad-data', 'cannot parse syscall: "1 2 3 4" is malformed'),
    );
  });
});

test('reads signal and capability masks of status', () => {
  const status = parseStatus(
    'Name:\tx\\nTgid:\t9\nTgid:\t42\nPPid:\t1\nTracerPid:\t7\nUid:\t10\t11\t12\t13\nGid:\t20\t21\t22\t23\nNSpid:\t42\t3\nThreads:\t5\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000002\nSigBlk:\t0000000000400000\nSigIgn:\t0000000000001000\nSigCgt:\tffffffff00000000\nCapEff:\t000001ffffffffff\nSeccomp:\t2\nx86_Thread_features:\tshstk \nvoluntary_ctxt_switches:\t12\n',
  );
  expect(status).toEqual({
    tgid: 42,
    parentPid: 1,
    tracerPid: 7,
    uid: 10,
    effectiveUid: 11,
    gid: 20,
    threads: 5,
    signalsPending: 3n,
    signalsBlocked: 0x400000n,
    signalsIgnored: 0x1000n,
    signalsCaught: 0xffffffff00000000n,
    capabilitiesEffective: 0x1ffffffffffn,
    namespacePids: [42, 3],
    seccompMode: 2,
    hasShadowStack: true,
    voluntarySwitches: 12,
  });
});

test('reads NUL-separated strings, empty ones included', () => {
  expect(parseStrings(Buffer.from('a\0\0b c\0'))).toEqual(['a', '', 'b c']);
  expect(parseStrings(Buffer.from('no end'))).toEqual(['no end']);
  expect(parseStrings(Buffer.alloc(0))).toEqual([]);
  const environment = Buffer.from('XOTEL=1\0OTEL=a=b\0OTEL=second\0');
  expect(findEnvironment(environment, 'OTEL')).toBe('a=b');
  expect(findEnvironment(environment, 'NONE')).toBeUndefined();
});

test('reads the auxiliary vector up to its end', () => {
  const bytes = Buffer.alloc(48);
  bytes.writeBigUInt64LE(3n, 0);
  bytes.writeBigUInt64LE(0x400040n, 8);
  bytes.writeBigUInt64LE(9n, 32);
  expect([...parseAuxv(bytes)]).toEqual([[3n, 0x400040n]]);
});

test.each([
  ['0::/system.slice/redis.service\n', '/system.slice/redis.service'],
  ['12:cpu:/x\n1:name=systemd:/user.slice\n0::/\n', '/user.slice'],
  ['0::/a:b\n', '/a:b'],
  ['', ''],
])('reads cgroup %j', (text, expected) => {
  expect(parseCgroup(text)).toBe(expected);
});

describe('on this very process', () => {
  test('stat, status, maps, threads and comm agree', () => {
    expect(readStat(process.pid)).toMatchObject({ pid: process.pid, parentPid: process.ppid });
    expect(readStatus(process.pid).tgid).toBe(process.pid);
    expect(readTids(process.pid)).toContain(process.pid);
    expect(readComm(process.pid)).toBe(readStat(process.pid).comm);
    expect(readMaps(process.pid).some((m) => m.path.endsWith('/node') && m.permissions === 'r-xp')).toBe(
      true,
    );
  });

  test('a process that does not exist is gone', () => {
    expect(() => readStat(0x7fffffff)).toThrow(
      new StillframeError(
        'target-gone',
        'cannot read /proc/2147483647/stat: process 2147483647 does not exist',
        { detail: { pid: 2147483647, errno: 2, errnoName: 'ENOENT' } },
      ),
    );
  });
});
