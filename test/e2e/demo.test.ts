import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/paths.js';

/** What `npm run demo` does once the checkout is set up: the whole story, with nothing else running. */
test('the demo tells its story', () => {
  const environment: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1' };
  delete environment['STILLFRAME_AGENT'];
  const demo = spawnSync(process.execPath, [join(repositoryRoot, 'bin', 'stillframe.js'), 'demo'], {
    encoding: 'utf8',
    env: environment,
    timeout: 170_000,
  });
  expect(demo.status, demo.stderr).toBe(0);
  const wanted = [
    /\$ stillframe snap \d+ orders\.c:\d+ --if 'order->customer->tier == GOLD && order->total > 10000'/,
    /armed at 2 addresses in process \d+ by uprobe/,
    /delivered 3 hits, all that were asked/,
    /^#0 +charge_order +orders\.c:\d+ +\(inlined\)$/m,
    /tier = GOLD/,
    /^#2 +worker_main +main\.c:\d+$/m,
    /^cost +[\d,]+ hits, condition false [\d,]+ times, .* captured, nothing stopped$/m,
    /order->customer->referrer->name const char \* = 0x[0-9a-f]+ "(Grace|Edsger)"/,
    /order->customer->referrer->referrer->address->city char \[24\] = <not captured: .*>/,
    /hint: capture it with --capture/,
    /while armed( +\d+){3} +\d+ us/,
    /wrong answers: 0; threads stopped: none/,
  ];
  for (const line of wanted) expect(demo.stdout).toMatch(line);
});
