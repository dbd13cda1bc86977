import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logFileRefusal } from '../../../agent/policy/log-files.js';
import { defaultPolicy, readPolicy, type Policy } from '../../../agent/policy/policy.js';
import { planOf, siteOf } from '../../support/plan.js';

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-policy-'));
  path = join(folder, 'policy.json');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function policyOf(rules: object): Policy {
  writeFileSync(path, JSON.stringify(rules));
  return readPolicy(path);
}

const point = { plan: planOf([siteOf()]), maxHits: 1, expiresMs: Date.now() + 60_000 };

test('without a file all within the limits is allowed', () => {
  const policy = defaultPolicy();
  policy.checkPoint(point);
  policy.checkNow({ stackBytes: 4096 });
  policy.checkProgram({ pid: 1, executable: '/sbin/init' });
  expect(() => policy.checkPoint({ ...point, maxHits: 1001 })).toThrow(
    'the default limits does not allow 1001 hits (1 to 1000)',
  );
});

describe('rules', () => {
  test.each([
    [
      { engines: ['observe'] },
      (policy: Policy) => policy.checkPoint({ ...point, engine: 'ptrace' }),
      'engine ptrace (engines: observe)',
    ],
    [
      { rawStack: false },
      (policy: Policy) => policy.checkNow({ stackBytes: 1 }),
      'raw stack windows (rawStack: false)',
    ],
    [{ maxHits: 5 }, (policy: Policy) => policy.checkPoint({ ...point, maxHits: 6 }), '6 hits (1 to 5)'],
    [
      {},
      (policy: Policy) => policy.checkPoint({ ...point, stream: true, minIntervalNs: 1_000_000_000n }),
      'log points (logRate: 0)',
    ],
    [
      { logRate: 5 },
      (policy: Policy) => policy.checkPoint({ ...point, stream: true, minIntervalNs: 100_000_000n }),
      '10 log lines a second (logRate: 5)',
    ],
    [
      { logRate: 1000 },
      (policy: Policy) => policy.checkPoint({ ...point, stream: true }),
      'any number of log lines a second (logRate: 1000)',
    ],
    [
      { maxHitBytes: 100 },
      (policy: Policy) => policy.checkPoint(point),
      '4096 bytes a hit (maxHitBytes: 100)',
    ],
    [
      { deny: ['/usr/bin/*'] },
      (policy: Policy) => policy.checkProgram({ pid: 7, executable: '/usr/bin/gpg' }),
      '"/usr/bin/gpg" (process 7; deny: "/usr/bin/*")',
    ],
    [
      { allow: ['/opt/app/*'] },
      (policy: Policy) => policy.checkProgram({ pid: 7, executable: '/usr/bin/gpg' }),
      '"/usr/bin/gpg" (process 7; not in allow)',
    ],
    [
      {},
      (policy: Policy) => policy.checkPoint({ ...point, expiresMs: Date.now() + 31 * 86_400_000 }),
      'an expiry beyond 30 days',
    ],
  ])('%j', (rules, check, refused) => {
    const policy = policyOf(rules);
    expect(() => check(policy)).toThrow(
      expect.objectContaining({
        code: 'denied',
        message: `policy "${path}" does not allow ${refused}`,
      }) as Error,
    );
  });

  test('a deny goes before an allow, and a pattern is the whole path', () => {
    const policy = policyOf({ allow: ['/opt/*'], deny: ['/opt/vault'] });
    policy.checkProgram({ pid: 1, executable: '/opt/vault2' });
    expect(() => policy.checkProgram({ pid: 1, executable: '/opt/vault' })).toThrow('deny');
    expect(() => policy.checkProgram({ pid: 1, executable: '/x/opt/y' })).toThrow('not in allow');
  });
});

test('lines of files may be watched where no policy is, and otherwise of those that it names', () => {
  const refusals = (policy: Policy): (string | undefined)[] =>
    ['/var/log/app/a.log', '/var/log/app/x/b.log', '/etc/app', '/var/log/app/a\nb'].map((file) =>
      logFileRefusal(policy.logFiles, file),
    );
  expect(refusals(defaultPolicy())).toEqual([undefined, undefined, undefined, undefined]);
  const refusal = (file: string): string => `policy "${path}" does not allow "${file}" (not in logFiles)`;
  expect(refusals(policyOf({}))).toEqual([
    refusal('/var/log/app/a.log'),
    refusal('/var/log/app/x/b.log'),
    refusal('/etc/app'),
    refusal('/var/log/app/a\nb'),
  ]);
  expect(refusals(policyOf({ logFiles: ['/var/log/app/*'] }))).toEqual([
    undefined,
    undefined,
    refusal('/etc/app'),
    undefined,
  ]);
});

test.each([
  ['{"denny": []}', 'Unrecognized key: "denny"'],
  ['{"maxHits": "many"}', 'maxHits: Invalid input: expected number, received string'],
])('a policy that is not understood is refused: %s', (text, message) => {
  writeFileSync(path, text);
  expect(() => readPolicy(path)).toThrow(`cannot read policy "${path}": ${message}`);
});

test('a policy that is no JSON, or is not there, is refused', () => {
  writeFileSync(path, '{');
  expect(() => readPolicy(path)).toThrow(`cannot read policy "${path}": `);
  expect(() => readPolicy(join(folder, 'none'))).toThrow('ENOENT');
});
