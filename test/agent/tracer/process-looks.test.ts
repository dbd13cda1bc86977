import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readProcessPulse } from '../../../agent/linux/proc.js';
import { ProcessLooks } from '../../../agent/tracer/process-looks.js';
import { ProcessTable } from '../../../agent/targets/process-table.js';
import type { TargetProcess } from '../../../agent/targets/processes.js';

let processes: Map<number, TargetProcess>;
let pulse: string;
let lists: number;
let pulses: number;
let looks: ProcessLooks;

/** As old as the host: what is young is looked at each time. */
const add = (pid: number): void => {
  processes.set(pid, {
    pid,
    comm: 'app',
    executable: '/bin/app',
    args: [],
    buildId: '',
    uid: 0,
    unit: '',
    container: '',
    service: '',
    startTimeMs: 0,
    startTicks: 1n,
  });
};

beforeEach(() => {
  vi.useFakeTimers();
  processes = new Map();
  [pulse, lists, pulses] = ['3 100', 0, 0];
  add(1);
  const table = new ProcessTable({
    pids: () => {
      lists += 1;
      return [...processes.keys()];
    },
    executable: () => '/bin/app',
    glance: (pid) => {
      const found = processes.get(pid);
      return found && { startTicks: found.startTicks, comm: found.comm, executable: found.executable };
    },
    read: (pid) => processes.get(pid),
  });
  looks = new ProcessLooks(table, () => {
    pulses += 1;
    return pulse;
  });
});

afterEach(() => void vi.useRealTimers());

async function first(): Promise<number> {
  const { cursor, isReset, changed } = await looks.next(0, 2000);
  expect(isReset).toBe(true);
  expect(changed.map(({ pid }) => pid)).toEqual([1]);
  return cursor;
}

test('who knows nothing is answered at once', async () => {
  await first();
});

test('while nothing happens it is answered after the wait, and all are looked at every two seconds', async () => {
  const cursor = await first();
  [lists, pulses] = [0, 0];
  const answer = vi.fn();
  void looks.next(cursor, 4000).then(answer);
  await vi.advanceTimersByTimeAsync(3900);
  expect(answer).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(400);
  expect(answer).toHaveBeenCalledTimes(1);
  expect(answer.mock.calls[0]?.[0]).toMatchObject({ isReset: false, changed: [], gone: [] });
  expect(lists).toBeGreaterThanOrEqual(2);
  expect(lists).toBeLessThanOrEqual(4);
  expect(pulses).toBeGreaterThan(10);
});

test('what comes or goes is told with the next beat', async () => {
  let cursor = await first();
  for (const [change, what] of [
    [() => add(2), { changed: [{ pid: 2 }], gone: [] }],
    [() => processes.delete(1), { changed: [], gone: [{ pid: 1 }] }],
  ] as const) {
    const answered = looks.next(cursor, 10_000);
    change();
    pulse += '1';
    await vi.advanceTimersByTimeAsync(300);
    const answer = await answered;
    expect(answer).toMatchObject(what);
    cursor = answer.cursor;
  }
});

test('what the kernel does not count is told within two seconds or so', async () => {
  const cursor = await first();
  const answered = looks.next(cursor, 10_000);
  add(2);
  await vi.advanceTimersByTimeAsync(2500);
  expect(await answered).toMatchObject({ changed: [{ pid: 2 }] });
});

test('who asks again ends the wait of who asked before', async () => {
  const cursor = await first();
  const before = looks.next(cursor, 60_000);
  const after = looks.next(0, 60_000);
  await vi.advanceTimersByTimeAsync(300);
  expect(await before).toMatchObject({ changed: [] });
  expect(await after).toMatchObject({ isReset: true, changed: [{ pid: 1 }] });
});

test('the pulse of this host is a number of tasks and of a process', () => {
  expect(readProcessPulse()).toMatch(/^\d+ \d+\n?$/);
});
