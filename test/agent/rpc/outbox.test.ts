import { expect, test } from 'vitest';
import { Outbox } from '../../../agent/rpc/outbox.js';
import { StillframeError } from '../../../format/error.js';
import type { EventProperties } from '../../../proto/service.js';

/** A peer that takes an event when it is told to. */
function slowPeer(): {
  readonly outbox: Outbox;
  readonly sent: string[];
  readonly take: () => Promise<void>;
} {
  const sent: string[] = [];
  const waiting: (() => void)[] = [];
  const outbox = new Outbox((event) => {
    sent.push(event.watchState?.detail ?? '');
    return new Promise((resolve) => waiting.push(resolve));
  });
  return {
    outbox,
    sent,
    take: async () => {
      waiting.shift()?.();
      await new Promise(setImmediate);
    },
  };
}

const says = (detail: string) => (): EventProperties => ({ watchState: { watchId: 'w', detail } });

test('what can be sent is sent at once', () => {
  const { outbox, sent } = slowPeer();
  outbox.post('a', says('1'));
  expect(sent).toEqual(['1']);
});

test('to a peer that does not read, of each subject the newest is kept, in the order in which they came', async () => {
  const { outbox, sent, take } = slowPeer();
  for (let i = 0; i < 10_000; i++) {
    outbox.post('a', says(`a${i}`));
    outbox.post('b', says(`b${i}`));
  }
  expect(sent).toEqual(['a0']);
  await take();
  await take();
  await take();
  expect(sent).toEqual(['a0', 'b9999', 'a9999']);
  outbox.post('c', says('c'));
  expect(sent.at(-1)).toBe('c');
});

test('what is not true any more when it could be sent is not, nor what was dropped', async () => {
  const { outbox, sent, take } = slowPeer();
  outbox.post('a', says('a'));
  outbox.post('b', () => undefined);
  outbox.post('c', says('c'));
  outbox.post('d', says('d'));
  outbox.drop('c');
  await take();
  expect(sent).toEqual(['a', 'd']);
});

test('a peer that hung up is told nothing more, and nothing is kept for it', async () => {
  let calls = 0;
  const outbox = new Outbox(() => {
    calls += 1;
    return Promise.reject(new StillframeError('unreachable', 'gone'));
  });
  outbox.post('a', says('a'));
  outbox.post('b', says('b'));
  await new Promise(setImmediate);
  expect(calls).toBe(1);
});
