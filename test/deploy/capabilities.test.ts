/** The agent as its unit runs it, an ordinary user with five capabilities, on a service of root's: they suffice, and each is needed. */
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildProgram, errorLocation } from '../../controller/cli/demo-automation/checkout.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';
import { connectAgent, orderFor } from '../support/agent-client.js';
import type { SnapshotJson } from '../support/documents.js';
import { requireFeature } from '../support/require-feature.js';
import { startAgentAsUnit, unitValues } from './unit-file.js';

const wanted = ['--capture', 'order->total', '--wait', '110s'];

let workplace: Workplace;
let service: StartedProgram;
/** A service whose program was deleted while it runs, and the program's copy. */
let replaced: StartedProgram;
let copy: string;

async function startUnderLoad(program: string): Promise<StartedProgram> {
  const started = await workplace.startProgram(program, [], { ready: /^ready/ });
  const port = /port=(\d+)$/.exec(started.lines.at(-1) ?? '')?.[1] ?? '';
  const load = await workplace.startProgram(
    buildProgram('checkout-load'),
    ['--port', port, '--rate', '200', '--yen', '10'],
    { ready: /^rps=/ },
  );
  expect(load.pid).toBeGreaterThan(0);
  return started;
}

beforeAll(async () => {
  workplace = openWorkplace();
  const program = buildProgram('checkout-service');
  copy = join(workplace.folder, 'checkout-copy');
  const deleted = join(workplace.folder, 'checkout-deleted');
  copyFileSync(program, copy);
  copyFileSync(program, deleted);
  service = await startUnderLoad(program);
  replaced = await startUnderLoad(deleted);
  rmSync(deleted);
});
afterAll(async () => {
  await workplace?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
});

interface DoctorJson {
  readonly engines: readonly { readonly engine: string; readonly supported: string }[];
}

function capabilitiesOf(pid: number): bigint {
  return BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''}`,
  );
}

test('with all five: uprobe, observe, a program that was replaced, and nothing left behind', async () => {
  const agent = await startAgentAsUnit(workplace, 'all');
  const at = ['--agent', agent.address];
  const children = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim().split(' ');
  for (const pid of [agent.pid, ...children.map(Number)]) {
    const bits = capabilitiesOf(pid).toString(2).replaceAll('0', '').length;
    expect(bits, `capabilities of ${pid}`).toBe(
      unitValues('stillframe-agent', 'CapabilityBoundingSet').length,
    );
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  }
  const [doctor] = (await workplace.json('doctor', ...at)) as [DoctorJson];
  const engines = new Map(doctor.engines.map((each) => [each.engine, each.supported]));
  expect(Object.fromEntries(engines)).toEqual({
    uprobe: 'yes',
    observe: 'yes',
    ptrace: 'yes',
    fork: 'yes',
    mem: 'yes',
    watch: 'yes',
  });

  const [snapshot] = (await workplace.json(
    'snap',
    String(service.pid),
    errorLocation(),
    ...wanted,
    ...at,
  )) as [SnapshotJson];
  expect(snapshot.engine).toBe('uprobe');
  expect(snapshot.location.function).toBe('fail_order');
  expect(snapshot.captures[0]?.value).toMatch(/^-\d+$/);

  const [now] = (await workplace.json('now', String(service.pid), ...at)) as [SnapshotJson];
  expect(now.engine).toBe('observe');
  expect(now.threads.length).toBeGreaterThanOrEqual(5);

  const of = [String(replaced.pid), errorLocation(), '--exe', copy];
  const [old] = (await workplace.json('snap', ...of, ...wanted, ...at)) as [SnapshotJson];
  expect(old.captures[0]?.value).toMatch(/^-\d+$/);
});

test('removal is confirmed although links cannot be listed', async () => {
  const agent = await startAgentAsUnit(workplace, 'removal');
  using client = await connectAgent(agent.address);
  const never = { pid: service.pid, location: errorLocation(), condition: 'order->total > 0' };
  const order = { ...(await orderFor(client, never)), id: 'capabilities' };
  const armed = await client.arm(order);
  const addresses = armed.processes.flatMap((each) => each.addresses);
  expect(addresses.length).toBeGreaterThan(0);
  expect(breakpointsAt(service.pid, addresses)).toBe(addresses.length);
  await client.disarm(order.id);
  expect(breakpointsAt(service.pid, addresses)).toBe(0);
  expect(disturbedThreads(service.pid)).toEqual([]);
});

test('the ptrace engine refuses what could never fire', async () => {
  const agent = await startAgentAsUnit(workplace, 'ptrace');
  using client = await connectAgent(agent.address);
  const point = { pid: service.pid, location: errorLocation(), condition: 'order->total > 0' };
  const order = { ...(await orderFor(client, point)), id: 'refused', engine: 'ptrace' as const };
  // Forced, it would take breakpoints in the code, which need more than these capabilities.
  await expect(client.arm(order)).rejects.toThrow(
    /cannot open the memory of process \d+ for writing: EACCES/,
  );
  await sleep(100);
  expect(disturbedThreads(service.pid)).toEqual([]);
});

test('without CAP_DAC_READ_SEARCH the mem engine says what is missing, and a point needs it not', async () => {
  const capability = 'CAP_DAC_READ_SEARCH';
  let agent: Awaited<ReturnType<typeof startAgentAsUnit>>;
  try {
    agent = await startAgentAsUnit(workplace, capability, { without: capability });
  } catch (error) {
    // Where not even the sources lie open to everybody.
    expect(String(error)).toMatch(/EACCES|Permission denied/);
    return;
  }
  const at = ['--agent', agent.address];
  const result = await workplace.run('now', String(service.pid), '--engine', 'mem', ...at);
  expect(result.stderr).toContain(capability);
  expect(result.status).toBe(5);
  const [snapshot] = (await workplace.json(
    'snap',
    String(service.pid),
    errorLocation(),
    ...wanted,
    ...at,
  )) as [SnapshotJson];
  expect(snapshot.engine).toBe('uprobe');
});

const uprobe = ['snap', '--engine', 'uprobe'];
test.each([
  ['CAP_BPF', uprobe, /CAP_BPF/],
  ['CAP_PERFMON', uprobe, /CAP_PERFMON/],
  ['CAP_SYS_PTRACE', ['snap'], /CAP_SYS_PTRACE/],
  ['CAP_CHECKPOINT_RESTORE', ['snap', '--exe'], /CAP_CHECKPOINT_RESTORE/],
])(
  'without %s it does not do, and says what is missing',
  async (capability, [command = '', ...options], names) => {
    const agent = await startAgentAsUnit(workplace, capability, { without: capability });
    const isReplaced = options[0] === '--exe';
    const target = isReplaced ? replaced.pid : service.pid;
    const rest = isReplaced ? ['--exe', copy] : options;
    const result = await workplace.run(
      command,
      String(target),
      errorLocation(),
      ...rest,
      ...wanted,
      '--agent',
      agent.address,
    );
    expect(result.status, `${result.stdout}${result.stderr}`).not.toBe(0);
    expect(result.stderr).toMatch(names);
  },
);
