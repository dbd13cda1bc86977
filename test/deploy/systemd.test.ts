/** The units, as systemd's own verifier sees them, and what they allow against what the programs do. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildProgram, errorLocation } from '../../controller/cli/demo-automation/checkout.js';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import type { SnapshotJson } from '../support/documents.js';
import { requireFeature } from '../support/require-feature.js';
import {
  asUnit,
  makeOrdinaryFolder,
  readUnit,
  startAgentAsUnit,
  stillframe,
  type UnitName,
  unitValues,
  writeRunnableUnit,
} from './unit-file.js';

/** The exposure that systemd sees, times ten, at most: 100 is without any protection. */
const units: readonly [UnitName, number][] = [
  ['stillframe-agent', 30],
  ['stillframe-controller', 20],
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-units-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function analyze(...args: string[]): { readonly status: number | null; readonly output: string } {
  const run = spawnSync('systemd-analyze', ['--no-pager', ...args], { encoding: 'utf8' });
  if (run.error !== undefined) throw run.error;
  return { status: run.status, output: `${run.stdout}${run.stderr}` };
}

test.each(units)('%s passes the verifier without a word', (name) => {
  expect(analyze('verify', writeRunnableUnit(name, folder))).toEqual({ status: 0, output: '' });
});

test('the verifier sees what is wrong', () => {
  const file = writeRunnableUnit('stillframe-agent', folder);
  const wrong = join(folder, 'wrong.service');
  spawnSync('sed', [`s/^ProtectClock=yes/ProtectClok=yes/; w ${wrong}`, file]);
  expect(analyze('verify', wrong).output).toContain('Unknown key');
});

test.each(units)('%s is exposed to at most %d of 100', (name, threshold) => {
  const file = writeRunnableUnit(name, folder);
  const { status, output } = analyze('security', '--offline=true', `--threshold=${threshold}`, file);
  console.log(output.split('\n').findLast((line) => line.includes('Overall exposure level')));
  expect(status, output).toBe(0);
});

test('neither forbids what it lives on', () => {
  const settings = (name: UnitName): string =>
    readUnit(name)
      .split('\n')
      .filter((line) => /^[A-Z]\w+=/.test(line))
      .join('\n');
  expect(settings('stillframe-agent')).not.toMatch(
    /^(?:MemoryDenyWriteExecute|PrivateUsers|ProtectProc|ProcSubset)=/m,
  );
  // It reads the boot id, to know agents of its own host.
  expect(settings('stillframe-controller')).not.toMatch(/^(?:MemoryDenyWriteExecute|ProcSubset)=/m);
});

/** All system calls of a filter, its groups spelled out. */
function allowed(filter: readonly string[]): Set<string> {
  const calls = new Set<string>();
  for (const entry of filter) {
    if (!entry.startsWith('@')) {
      calls.add(entry);
      continue;
    }
    const lines = analyze('syscall-filter', entry)
      .output.split('\n')
      .map((line) => line.trim());
    const inside = lines.slice(1).filter((line) => line !== '' && !line.startsWith('#'));
    for (const call of allowed(inside)) calls.add(call);
  }
  return calls;
}

/** strace leaves what it traced running when it ends; here that ends with it. */
const recorded = (record: string): string[] =>
  `strace --follow-forks --quiet=all --signal=none --output ${record} setpriv --pdeathsig KILL`.split(' ');

function forbidden(record: string, unit: UnitName): string[] {
  const text = readFileSync(record, 'utf8');
  // From where Node runs: setpriv comes before it.
  const begin = text.indexOf(`execve("${process.execPath}"`);
  expect(begin).toBeGreaterThanOrEqual(0);
  const names = [...text.slice(begin).matchAll(/^\d+ +([a-z]\w+)\(/gm)].map(([, name]) => name ?? '');
  // What strace sees of a thread that it met between two calls.
  const calls = new Set(names.filter((name) => name !== 'syscall_0xffffffffffffffff'));
  expect([...calls]).toEqual(expect.arrayContaining(['openat', 'epoll_ctl', 'accept4']));
  const filter = unitValues(unit, 'SystemCallFilter');
  const fine = allowed(filter.filter((entry) => !entry.startsWith('~')));
  for (const call of allowed(
    filter.filter((entry) => entry.startsWith('~')).map((entry) => entry.slice(1)),
  )) {
    fine.delete(call);
  }
  return [...calls].filter((call) => !fine.has(call));
}

/** A service under load, of a program that everybody may read. */
async function startReadableService(workplace: Workplace): Promise<StartedProgram> {
  chmodSync(workplace.folder, 0o711);
  const program = join(workplace.folder, 'checkout-service');
  copyFileSync(buildProgram('checkout-service'), program);
  const service = await workplace.startProgram(program, [], { ready: /^ready/ });
  const port = /port=(\d+)$/.exec(service.lines.at(-1) ?? '')?.[1] ?? '';
  const load = ['--port', port, '--rate', '100', '--yen', '10'];
  await workplace.startProgram(buildProgram('checkout-load'), load, { ready: /^rps=/ });
  return service;
}

test('agent and controller work as their units run them, and make no system call that these forbid', async (context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
  await using workplace = openWorkplace();
  const service = await startReadableService(workplace);
  const agentCalls = join(workplace.folder, 'agent', 'calls');
  const agent = await startAgentAsUnit(workplace, 'agent', { under: recorded(agentCalls) });
  const mine = makeOrdinaryFolder(workplace.folder, 'controller');
  const controllerCalls = join(mine, 'calls');
  const socket = `unix:${join(mine, 'controller.sock')}`;
  const options = ['--listen', socket, '--http', '127.0.0.1:0', '--store', `sqlite:${join(mine, 'store')}`];
  const args = [process.execPath, stillframe, 'controller', ...options, '--agent', agent.address];
  await workplace.startProgram(
    'setpriv',
    [...asUnit('stillframe-controller'), ...recorded(controllerCalls), ...args],
    { ready: /^stillframe controller ready/ },
  );

  // What works under a tracer: all but the ptrace engine, whose calls are in @debug by name.
  const at = ['--controller', socket];
  await workplace.json('doctor', ...at);
  const [target] = (await workplace.json('targets', String(service.pid), ...at)) as [
    { readonly name: string },
  ];
  expect(target.name).toBe('checkout-servic');
  const location = [String(service.pid), errorLocation()];
  const [snapshot] = (await workplace.json('snap', ...location, '--wait', '110s', ...at)) as [SnapshotJson];
  expect(snapshot.location.function).toBe('fail_order');
  await workplace.json('now', String(service.pid), ...at);
  await workplace.json('export', snapshot.id, '-o', join(workplace.folder, 'core'), ...at);

  expect(forbidden(agentCalls, 'stillframe-agent')).toEqual([]);
  expect(forbidden(controllerCalls, 'stillframe-controller')).toEqual([]);
});
