import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import type { SnapshotJson } from '../support/documents.js';
import { latestReport, startOrderService } from '../support/order-service.js';

describe('now: every thread of a running service', () => {
  let workplace: Workplace;
  let service: StartedProgram;

  beforeAll(async () => {
    workplace = openWorkplace();
    service = await startOrderService(workplace, { rate: 200 });
    await workplace.startAgent();
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  const now = async (...args: string[]): Promise<SnapshotJson> => {
    const [snapshot] = (await workplace.json('now', String(service.pid), ...args)) as [SnapshotJson];
    return snapshot;
  };
  const names = (snapshot: SnapshotJson): string[] =>
    snapshot.threads.map((thread) => thread.comm).toSorted();
  const expected = ['client-0', 'client-1', 'client-2', 'client-3', 'order-service'].concat([
    'worker-0',
    'worker-1',
    'worker-2',
    'worker-3',
  ]);

  test('observe: registers and stacks by task iterator, unwound, nothing stopped', async () => {
    const snapshot = await now();
    expect(snapshot.engine).toBe('observe');
    expect(snapshot.cost.stoppedNs).toBe(0);
    expect(names(snapshot)).toEqual(expected);
    const stacks = snapshot.threads.filter((thread) => thread.comm.startsWith('worker'));
    const unwound = stacks.filter((thread) =>
      thread.frames?.some((frame) => frame.function === 'worker_main'),
    );
    expect(unwound.length).toBeGreaterThan(0);
  });

  test('ptrace: the same, and the stop is measured', async () => {
    const workers = (snapshot: SnapshotJson): SnapshotJson['threads'] =>
      snapshot.threads.filter(({ comm }) => comm.startsWith('worker'));
    const isWhole = (snapshot: SnapshotJson): boolean =>
      workers(snapshot).every(({ frames }) => frames !== undefined && frames.length > 0);
    let snapshot = await now('--engine', 'ptrace');
    // The stop is bounded: a thread that got no processor within it is said to be absent. So on a busy machine, now and then.
    for (let i = 0; i < 20 && !isWhole(snapshot); i++) snapshot = await now('--engine', 'ptrace');
    expect(snapshot.engine).toBe('ptrace');
    expect(snapshot.cost.stoppedNs).toBeGreaterThan(0);
    expect(names(snapshot)).toEqual(expected);
    for (const thread of workers(snapshot))
      expect(thread.frames?.map((frame) => frame.function)).toContain('worker_main');
    for (const tid of readdirSync(`/proc/${service.pid}/task`)) {
      const status = readFileSync(`/proc/${service.pid}/task/${tid}/status`, 'utf8');
      expect(status).toMatch(/^TracerPid:\t0$/m);
      expect(status).not.toMatch(/^State:\t[tT]/m);
    }
  });

  test('mem: what can be had without privileges, labelled racy', async () => {
    const snapshot = await now('--engine', 'mem');
    expect(snapshot.engine).toBe('mem');
    expect(snapshot.cost.stoppedNs).toBe(0);
    expect(names(snapshot)).toEqual(expected);
  });

  test('the service is unharmed', () => {
    expect(service.process.exitCode).toBeNull();
    expect(latestReport(service).wrong).toBe(0);
  });
});
