import { expect, test } from 'vitest';
import { fromLong, numberFromLong, toLong } from '../../proto/long.js';
import { decodeCommand, decodeEvent, encodeCommand, encodeEvent } from '../../proto/service.js';

test.each([
  0n,
  1n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 32n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
])('%d goes over the wire and comes back', (value) => {
  const event = decodeEvent(
    encodeEvent({
      request: toLong(value),
      targetFacts: { modules: [{ start: toLong(value), bias: toLong(-value) }] },
      body: 'targetFacts',
    }),
  );
  expect(fromLong(event.request)).toBe(value);
  expect(fromLong(event.targetFacts?.modules?.[0]?.start)).toBe(value);
  expect(fromLong(event.targetFacts?.modules?.[0]?.bias)).toBe(BigInt.asUintN(64, -value));
});

test('repeated 64-bit fields keep every bit', () => {
  const addresses = [0x5555_5555_5139n, 0xffff_ffff_ff60_0000n];
  const event = decodeEvent(
    encodeEvent({ pointState: { processes: [{ pid: 7, addresses: addresses.map(toLong) }] } }),
  );
  expect(event.body).toBe('pointState');
  expect(event.pointState?.processes?.[0]?.addresses?.map(fromLong)).toEqual(addresses);
});

test('a field that is not set reads as 0, and one beyond 2^53 is no number', () => {
  const command = decodeCommand(encodeCommand({ arm: { pointId: 'x' } }));
  expect(command.body).toBe('arm');
  expect(fromLong(command.arm?.expiresMs)).toBe(0n);
  expect(numberFromLong(toLong(2 ** 53 - 1))).toBe(2 ** 53 - 1);
  expect(() => numberFromLong(toLong(1n << 53n))).toThrow(
    '64-bit field does not fit a number: 9007199254740992',
  );
});

test('bytes are carried untouched', () => {
  const plan = Uint8Array.from({ length: 256 }, (_, i) => i);
  const command = decodeCommand(encodeCommand({ arm: { plan } }));
  expect(Uint8Array.from(command.arm?.plan ?? [])).toEqual(plan);
});

test('truncated and hostile messages throw, and give no message', () => {
  const bytes = encodeCommand({ arm: { pointId: 'some point', plan: new Uint8Array(64) } });
  for (let length = 1; length < bytes.length; length++) {
    expect(() => decodeCommand(bytes.subarray(0, length))).toThrow();
  }
});
