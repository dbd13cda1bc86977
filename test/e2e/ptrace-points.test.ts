import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';
import { field, local, type SnapshotJson } from '../support/documents.js';
import { chargeLocation, goldCondition, latestReport, startOrderService } from '../support/order-service.js';
import { repositoryRoot } from '../support/paths.js';

describe('points by ptrace, where eBPF is not allowed', () => {
  let workplace: Workplace;
  let service: StartedProgram;
  beforeAll(async () => {
    workplace = openWorkplace();
    // A hit stops its thread for tens of microseconds: this engine is not for lines that are passed thousands of times a second.
    service = await startOrderService(workplace, { rate: 50, workers: 2 });
    await workplace.startAgent();
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  const snapArgs = (): string[] => ['snap', String(service.pid), chargeLocation(), '--engine', 'ptrace'];

  test('give the same kind of values, say what was stopped, and leave nothing', async () => {
    const [snapshot] = (await workplace.json(...snapArgs(), '--if', goldCondition)) as [SnapshotJson];
    expect(snapshot.engine).toBe('ptrace');
    expect(snapshot.cost.stoppedNs).toBeGreaterThan(0);
    expect(snapshot.frames.slice(0, 3).map((frame) => frame.function)).toEqual([
      'charge_order',
      'handle_request',
      'worker_main',
    ]);
    const order = local(snapshot.frames[0], 'order');
    expect(field(order, 'customer', 'tier').text).toBe('GOLD');
    expect(Number(field(order, 'total').value)).toBeGreaterThan(10_000);
    expect(disturbedThreads(service.pid)).toEqual([]);
    expect(breakpointsAt(service.pid, [BigInt(snapshot.location.address)])).toBe(0);
  });

  test('a command killed while it waits leaves the service untraced', async () => {
    const program = join(repositoryRoot, 'bin', 'stillframe.js');
    const args = [program, ...snapArgs(), '--if', 'order->total < 0', '--wait', '10m'];
    const command = spawn(process.execPath, args, { env: workplace.environment, stdio: 'ignore' });
    for (let i = 0; i < 1200 && disturbedThreads(service.pid).length === 0; i++) await sleep(100);
    expect(disturbedThreads(service.pid).length).toBeGreaterThan(0);
    command.kill('SIGKILL');
    for (let i = 0; i < 1200 && disturbedThreads(service.pid).length > 0; i++) await sleep(100);
    expect(disturbedThreads(service.pid)).toEqual([]);
    expect(service.process.exitCode).toBeNull();
    expect(latestReport(service).wrong).toBe(0);
  });
});
