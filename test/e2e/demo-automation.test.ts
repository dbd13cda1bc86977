/** What `npm run demo:automation` and `npm run demo:metric` do once the checkout is set up. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { eventually } from '../support/automation.js';
import { stillframe } from '../deploy/unit-file.js';

const seconds = 240;

function environment(): NodeJS.ProcessEnv {
  const plain: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1' };
  delete plain['STILLFRAME_AGENT'];
  delete plain['STILLFRAME_CONTROLLER'];
  return plain;
}

/** Runs it to its end. Gives its output, and the folder that it used. */
function tell(...options: string[]): { readonly output: string; readonly folder: string } {
  const begin = Date.now();
  const demo = spawnSync(process.execPath, [stillframe, 'demo', '--automation', ...options], {
    encoding: 'utf8',
    env: environment(),
    timeout: seconds * 1000,
  });
  expect(demo.status, `${demo.stdout}\n${demo.stderr}`).toBe(0);
  expect(Date.now() - begin).toBeLessThan(seconds * 1000);
  return { output: demo.stdout, folder: folderOf(demo.stdout) };
}

function folderOf(output: string): string {
  const [, folder = ''] = /read it from (\S+)\/rules\.yaml/.exec(output) ?? [];
  expect(folder).toContain(join(tmpdir(), 'stillframe-demo-'));
  return folder;
}

/** Command lines of all processes that have to do with the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(folder) ? [line] : [];
    } catch {
      return []; // It ended.
    }
  });
}

function expectStory(output: string): void {
  const wanted = [
    /^\$ stillframe rules ls$/m,
    /^checkout-errors +active/m,
    /^ +\+0\.00 s +fired /m,
    /^ +\+\d+\.\d\d s +armed +point \w+: snapshot failure\.c:\d+ at service:checkout-demo: armed at 1 address in process \d+ at \S+ by uprobe/m,
    /has a stack of its own, 1 of 3/,
    /has a stack of its own, 3 of 3/,
    /^ +\+\d+\.\d\d s +closed +3 different stacks came, as many as limits\.stacks allows$/m,
    /^ +\d+ snapshots, 3 ways to the error\. On all of them/m,
    /^ +order->coupon->currency->decimals = 0$/m,
    /checkout_web orders\.c:\d+/,
    /authorise_payment payment\.c:\d+/,
    /charge_stored_card payment\.c:\d+/,
    /^order->coupon->code const char \* = 0x[0-9a-f]+ "SAKURA500"$/m,
    /^order->discount long = 50000$/m,
    /^ +while it was looked into +\d+ +\d+ to \d+/m,
    /answers other than due: 0; process \d+ still runs; threads stopped: 0 ns in all/,
  ];
  for (const line of wanted) expect(output).toMatch(line);
}

test('with Prometheus and Alertmanager', { timeout: seconds * 1000 + 10_000 }, () => {
  const { output, folder } = tell();
  expectStory(output);
  expect(output).toMatch(/Prometheus: +\d\.\d% of the orders fail, alert CheckoutErrors is pending/);
  expect(output).toMatch(
    /fired +alert CheckoutErrors is firing: \d+(\.\d+)?% of the orders of checkout-demo fail/,
  );
  expect(output).toMatch(/^checkout-errors +cooling-down/m);
  expect(processesOf(folder)).toEqual([]);
  expect(readdirSync(tmpdir())).not.toContain(folder.slice(tmpdir().length + 1));
});

test('with a metric point alone', { timeout: seconds * 1000 + 10_000 }, () => {
  const { output, folder } = tell('--without-prometheus');
  expectStory(output);
  expect(output).toMatch(
    /fired +[\d.]+\/s over 2s at failure\.c:\d+ of service:checkout-demo, above 10\/s for \d+s/,
  );
  expect(output).not.toContain('http://');
  expect(processesOf(folder)).toEqual([]);
});

test('killed, it leaves no process behind', async () => {
  const demo = spawn(process.execPath, [stillframe, 'demo', '--automation'], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  createInterface({ input: demo.stdout }).on('line', (line) => (output += `${line}\n`));
  await eventually('it has begun', () => output.includes('checkout-errors  active'));
  const folder = folderOf(output);
  try {
    expect(processesOf(folder).length).toBeGreaterThanOrEqual(5);
    demo.kill('SIGKILL');
    await eventually('all have ended', () => processesOf(folder).length === 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
