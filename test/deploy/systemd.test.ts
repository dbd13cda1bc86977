/** The units, as systemd's own verifier sees them, and what they allow against what the programs do. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildProgram, errorLocation } from '../../controller/cli/demo-automation/checkout.js';
import { openWorkplace } from '../support/cli.js';
import { requireFeature } from '../support/require-feature.js';
import { startAgentAsUnit, type UnitName, unitValues, writeRunnableUnit } from './unit-file.js';

/** The exposure that systemd sees, times ten, at most: 100 is without any protection. */
const units: readonly [UnitName, number][] = [['stillframe-agent', 30]];

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

test.each(units)('%s has what Node and other processes need', (name) => {
  const file = writeRunnableUnit(name, folder);
  const text = readFileSync(file, 'utf8');
  for (const setting of ['MemoryDenyWriteExecute', 'PrivateUsers'])
    expect(text).not.toMatch(new RegExp(`^${setting}=(?!no)`, 'm'));
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

test('the agent makes no system call that its unit forbids', async (context) => {
  requireFeature(context, 'root', getuid?.() === 0 ? undefined : 'the tests do not run as root');
  await using workplace = openWorkplace();
  const service = await workplace.startProgram(buildProgram('checkout-service'), [], { ready: /^ready/ });
  const port = /port=(\d+)$/.exec(service.lines.at(-1) ?? '')?.[1] ?? '';
  const load = ['--port', port, '--rate', '100', '--yen', '10'];
  await workplace.startProgram(buildProgram('checkout-load'), load, { ready: /^rps=/ });
  const record = join(workplace.folder, 'traced', 'calls');
  const agent = await startAgentAsUnit(workplace, 'traced', {
    // strace leaves what it traced running when it ends; the agent must not.
    under: ['strace', '--follow-forks', '--quiet=all', '--signal=none', '--output', record].concat([
      'setpriv',
      '--pdeathsig',
      'KILL',
    ]),
  });
  const at = ['--agent', agent.address];
  // What works under a tracer: all but the ptrace engine, whose calls are in @debug by name.
  await workplace.json('doctor', ...at);
  await workplace.json('targets', ...at);
  await workplace.json('snap', String(service.pid), errorLocation(), '--wait', '20s', ...at);
  await workplace.json('now', String(service.pid), ...at);

  const text = readFileSync(record, 'utf8');
  const names = [...text.matchAll(/^\d+ +([a-z]\w+)\(/gm)].map(([, name]) => name ?? '');
  // What strace sees of a thread that it met between two calls.
  const calls = new Set(names.filter((name) => name !== 'syscall_0xffffffffffffffff'));
  expect([...calls]).toEqual(expect.arrayContaining(['bpf', 'ioctl', 'pidfd_open', 'execve']));
  const fine = allowed(unitValues('stillframe-agent', 'SystemCallFilter'));
  expect([...calls].filter((call) => !fine.has(call))).toEqual([]);
});
