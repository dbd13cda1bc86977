/**
 * Front and tracer killed with -9 at random instants while a point, log lines and a metric are armed under load: the service goes on, no probe is left, the next
 * one arms again. STILLFRAME_KILLS says how often, 20 unless told; for a soak: `STILLFRAME_KILLS=1000 npx vitest run dist/test/e2e/kill.test.js`.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentClient } from '../../controller/rpc/agent-client.js';
import type { ArmOrder } from '../../controller/rpc/agent-facts.js';
import { makeIdentifier } from '../../format/identifier.js';
import { connectAgent, orderFor } from '../support/agent-client.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';
import { chargeLocation, latestReport, startOrderService } from '../support/order-service.js';

const kills = Number(process.env['STILLFRAME_KILLS'] ?? '20');
const never = 'order->total < 0';

let workplace: Workplace;
let service: StartedProgram;
let address: string;

beforeAll(async () => {
  workplace = openWorkplace();
  service = await startOrderService(workplace, { rate: 2000, workers: 2 });
  address = workplace.environment['STILLFRAME_AGENT'] ?? '';
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2400; i++) {
    if (condition()) return;
    await sleep(50);
  }
  throw new Error(`it did not happen: ${what}`);
}

/** The kernel's list of children of a process. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

const withId = (order: ArmOrder): ArmOrder => ({ ...order, id: makeIdentifier(Date.now(), randomBytes(4)) });

/** What is armed beside the point: lines of a log, and a metric. */
async function ordersBeside(client: AgentClient, pid: number, point: ArmOrder): Promise<readonly ArmOrder[]> {
  const metric = { kind: 'histogram', value: 'order->total', by: 'order->customer->tier' } as const;
  const added = await orderFor(client, { pid, location: chargeLocation(), metric });
  return [
    { ...point, stream: true, everyProcess: true, minIntervalNs: 20_000_000n },
    { ...added, countOnly: true },
  ];
}

test(
  `front and tracer killed ${kills} times: nothing is left, and the next arms again`,
  { timeout: 60_000 + kills * 20_000 },
  async () => {
    let order: ArmOrder | undefined;
    let beside: readonly ArmOrder[] | undefined;
    // The same in every round: the service is the same process.
    let probed: readonly bigint[] = [];
    for (let killed = 0, round = 0; killed < kills; round++) {
      const agent = await workplace.startAgent();
      const front = agent.pid ?? -1;
      const client = await connectAgent(address);
      order ??= await orderFor(client, { pid: service.pid, location: chargeLocation(), condition: never });
      beside ??= await ordersBeside(client, service.pid, order);
      const mine = withId(order);
      // Every third front dies in the middle of arming, every third after its tracer did.
      const during = round % 3 === 2;
      const arming = client.arm(mine).catch(() => undefined);
      const others = beside.map((each) => client.arm(withId(each)).catch(() => undefined));
      const addresses = during ? [] : ((await arming)?.processes.flatMap((each) => each.addresses) ?? []);
      if (!during) {
        for (const view of await Promise.all(others)) expect(view?.phase).toBe('armed');
        expect(addresses.length).toBeGreaterThan(0);
        probed = addresses;
        expect(breakpointsAt(service.pid, addresses)).toBe(addresses.length);
      }
      await sleep(Math.random() * 50);
      const [tracer] = childrenOf(front);
      expect(tracer).toBeDefined();
      if (round % 3 === 1) {
        process.kill(tracer ?? -1, 'SIGKILL');
        killed++;
        await until('another tracer runs', () => childrenOf(front).some((pid) => pid !== tracer));
        // It is armed again by itself, and counts.
        for (let i = 0; ; i++) {
          const [view] = await client.points([mine.id]);
          if (view?.phase === 'armed' && view.counters.hits > 0n) break;
          if (i > 1200) throw new Error(`not armed again: ${view?.phase}: ${view?.why}`);
          await sleep(50);
        }
      }
      const last = childrenOf(front);
      await kill(agent);
      killed++;
      client[Symbol.dispose]();
      await until('the tracer went with its front', () => last.every((pid) => !existsSync(`/proc/${pid}`)));
      await until('no breakpoint is left', () => breakpointsAt(service.pid, probed) === 0);
      await until('no link is left', () => probeLinksOf(service.pid).length === 0);
      expect(service.process.exitCode).toBeNull();
    }
    expect(disturbedThreads(service.pid)).toEqual([]);
  },
);

test('the service never noticed', async () => {
  const reports = service.lines.length;
  await until('it reports again', () => service.lines.length > reports);
  expect(latestReport(service)).toMatchObject({ wrong: 0 });
  expect(latestReport(service).rps).toBeGreaterThan(0);
});
