import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { Dialing, type Conversation } from '../../../controller/fleet/dialing.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class FakeConversation implements Conversation {
  isDisposed = false;
  end: (reason: StillframeError) => void = () => undefined;
  readonly closed: Promise<StillframeError> = new Promise((resolve) => {
    this.end = resolve;
  });
  [Symbol.dispose](): void {
    this.isDisposed = true;
  }
}

const refused = new StillframeError('unreachable', 'connect ECONNREFUSED');

function dial(connect: () => Promise<FakeConversation>, random = 1) {
  const attemptsMs: number[] = [];
  const connected: FakeConversation[] = [];
  const failed: string[] = [];
  const startMs = Date.now();
  const dialing = new Dialing<FakeConversation>({
    connect: () => {
      attemptsMs.push(Date.now() - startMs);
      return connect();
    },
    connected: (conversation) => void connected.push(conversation),
    failed: ({ message }) => void failed.push(message),
    random: () => random,
  });
  return { dialing, attemptsMs, connected, failed };
}

test('waits twice as long after each failure, a quarter of a second first, fifteen at most, for ever', async () => {
  const { dialing, attemptsMs, failed } = dial(() => Promise.reject(refused));
  await dialing.attempted;
  await vi.advanceTimersByTimeAsync(120_000);
  const waits = attemptsMs.slice(1).map((atMs, i) => atMs - (attemptsMs[i] ?? 0));
  expect(waits.slice(0, 9)).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  expect(failed.length).toBe(attemptsMs.length);
  expect(new Set(failed)).toEqual(new Set(['connect ECONNREFUSED']));
  dialing[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
});

test('half of each wait is chance', async () => {
  const { dialing, attemptsMs } = dial(() => Promise.reject(refused), 0);
  await vi.advanceTimersByTimeAsync(1000);
  expect(attemptsMs).toEqual([0, 125, 375, 875]);
  dialing[Symbol.dispose]();
});

test('a conversation that lasted makes the next wait short again; one that broke off at once does not', async () => {
  const conversations: FakeConversation[] = [];
  let refuse = true;
  const { dialing, attemptsMs, connected } = dial(() => {
    if (refuse) return Promise.reject(refused);
    conversations.push(new FakeConversation());
    return Promise.resolve(conversations.at(-1) as FakeConversation);
  });
  await vi.advanceTimersByTimeAsync(250 + 500 + 1000);
  refuse = false;
  await vi.advanceTimersByTimeAsync(2000);
  expect(connected).toHaveLength(1);
  conversations[0]?.end(refused);
  await vi.advanceTimersByTimeAsync(3999);
  expect(connected).toHaveLength(1);
  expect(conversations[0]?.isDisposed).toBe(true);
  await vi.advanceTimersByTimeAsync(1);
  expect(connected).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(10_000);
  const before = attemptsMs.length;
  conversations[1]?.end(refused);
  await vi.advanceTimersByTimeAsync(250);
  expect(attemptsMs.length).toBe(before + 1);
  dialing[Symbol.dispose]();
});

test('a connection that comes when nobody wants it any more is closed', async () => {
  const conversation = new FakeConversation();
  let connect: (conversation: FakeConversation) => void = () => undefined;
  const { dialing, connected } = dial(
    () =>
      new Promise((resolve) => {
        connect = resolve;
      }),
  );
  dialing[Symbol.dispose]();
  await dialing.attempted;
  connect(conversation);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(connected).toEqual([]);
  expect(conversation.isDisposed).toBe(true);
});
