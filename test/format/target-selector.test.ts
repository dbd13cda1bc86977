import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../format/error.js';
import { parseSelector } from '../../format/target-selector.js';

describe('parseSelector', () => {
  test.each([
    ['1234', { kind: 'pid', value: '1234' }],
    ['1234@web1', { kind: 'pid', value: '1234', host: 'web1' }],
    ['name:redis-server', { kind: 'name', value: 'redis-server' }],
    ['exe:/usr/bin/a b@h', { kind: 'exe', value: '/usr/bin/a b', host: 'h' }],
    ['unit:getty@tty1.service', { kind: 'unit', value: 'getty@tty1.service' }],
    ['container:ab12', { kind: 'container', value: 'ab12' }],
    ['service:orders@h', { kind: 'service', value: 'orders', host: 'h' }],
    ['unit:redis.service@web-1', { kind: 'unit', value: 'redis.service', host: 'web-1' }],
    ['@web-1', { kind: 'any', value: '', host: 'web-1' }],
    ['@web-1#2', { kind: 'any', value: '', host: 'web-1#2' }],
  ])('reads %s', (text, expected) => {
    expect(parseSelector(text)).toEqual(expected);
  });

  test.each([
    ['redis', 'cannot parse target "redis": it has no known kind'],
    ['pid:12', 'cannot parse target "pid:12": it has no known kind'],
    ['name:', 'cannot parse target "name:": a part of it is empty'],
    ['name:x@', 'cannot parse target "name:x@": a part of it is empty'],
    ['', 'cannot parse target "": it is empty'],
    ['@', 'cannot parse target "@": it has no known kind'],
    ['any:', 'cannot parse target "any:": it has no known kind'],
    [
      `name:${'x'.repeat(9000)}`,
      `cannot parse target "name:${'x'.repeat(75)}…": it is longer than 8192 characters`,
    ],
    ['-1', 'cannot parse target "-1": it has no known kind'],
  ])('refuses %s', (text, message) => {
    expect(() => parseSelector(text)).toThrow(
      new StillframeError('usage', message, {
        hint: 'a target is a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST',
      }),
    );
  });
});
