/**
 * Commands and controllers killed with -9 at random instants, while an agent has points, log lines and metrics of theirs armed: nothing stays armed
 * that nobody waits for, no file is left, and a point that a controller keeps has all its hits in the end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askVerdict, checkerProgram } from '../soak/kill-storm.js';
import { takenAddressRegisters } from '../support/address-registers.js';
import { startProgram } from '../support/running-program.js';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { connectAgent } from '../support/agent-client.js';
import { repositoryRoot } from '../support/paths.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { startTicker } from '../support/ticker.js';

let workplace: Workplace;
let temporary: string;
beforeEach(() => {
  workplace = openWorkplace();
  temporary = join(workplace.folder, 'tmp');
  mkdirSync(temporary);
  workplace.environment['TMPDIR'] = temporary;
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

const program = join(repositoryRoot, 'bin', 'stillframe.js');

/** Starts a command, lets it get so far as to tell something or so long, and kills it. */
async function killCommand(args: readonly string[], afterMs: number): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], { env: workplace.environment });
  const told: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => told.push(chunk.toString()));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (let waited = 0; told.length === 0 && waited < 100_000; waited += 20) await sleep(20);
  await sleep(afterMs);
  child.kill('SIGKILL');
  await ended;
  return told.join('');
}

test('commands killed leave no point, no probe and no file', { timeout: 300_000 }, async () => {
  const { pid } = await startTicker(workplace);
  await using checker = startProgram(checkerProgram(), ['1']);
  await checker.nextLine();
  // Without an agent a command starts one of its own, which must go with it.
  const commands = [
    ['log', String(pid), 'pass', 'tick {tick->number} {tick->label->name}', '--rate', '500/s'],
    ['watch', String(checker.pid), 'latest', '--hits', '1000', '--every', '20ms', '--json'],
    ['metric', String(pid), 'pass', '--sum', 'tick->number', '--every', '200ms', '--json'],
  ];
  const own = { ...workplace.environment };
  delete workplace.environment['STILLFRAME_AGENT'];
  workplace.environment['XDG_RUNTIME_DIR'] = temporary;
  expect(await killCommand(commands[0] ?? [], Math.random() * 200)).not.toBe('');
  await expect.poll(() => probeLinksOf(pid)).toEqual([]);
  await expect.poll(() => readdirSync(temporary)).toEqual([]);

  Object.assign(workplace.environment, own);
  await workplace.startAgent();
  for (const command of commands) expect(await killCommand(command, Math.random() * 300)).not.toBe('');
  using client = await connectAgent(workplace.environment['STILLFRAME_AGENT'] ?? '');
  await expect.poll(async () => (await client.points()).filter(({ phase }) => phase !== 'ended')).toEqual([]);
  expect(probeLinksOf(pid)).toEqual([]);
  expect(takenAddressRegisters(checker.pid)).toBe(0);
  expect(await askVerdict(checker)).toMatchObject({ wrong: 0, signals: 0 });
  expect(readdirSync(temporary)).toEqual([]);
  // What a watch had seen before its command was killed is there for who asks; of log lines there is nothing.
  await workplace.json('snapshots');
  const spool = join(workplace.folder, 'spool');
  expect(existsSync(spool) ? readdirSync(spool).filter((name) => name.endsWith('.core')) : []).toEqual([]);
});

test('a command that is interrupted ends at once, and names what came and was not shown', async () => {
  const { pid } = await startTicker(workplace);
  await workplace.startAgent();
  const args = ['snap', String(pid), 'pass', '--hits', '1000', '--every', '1ms', '--json'];
  const child = spawn(process.execPath, [program, ...args], { env: workplace.environment });
  const shown: string[] = [];
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => shown.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, 'close');
  while (shown.length === 0) await sleep(20);
  child.kill('SIGINT');
  expect(await ended, `${said}${shown.join('').slice(0, 500)}`).toEqual([130, null]);
  // More come than can be shown: all of them, where the command hardly gets a processor.
  const [, unshown, , pointId] =
    /^(\d+) snapshots? came that (was|were) not shown: `stillframe snapshots --point (\w+)` lists all$/m.exec(
      said,
    ) ?? [];
  const kept = (await workplace.json('snapshots', '--point', pointId ?? '')) as readonly unknown[];
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBe(Number(unshown) + shown.join('').trim().split('\n').length);
  const told = `${kept.length} of 1000 snapshots came: removed (`;
  if (kept.length < 1000) expect(said).toContain(told);
  else expect(said).not.toContain('of 1000 snapshots came');
  expect(probeLinksOf(pid)).toEqual([]);
});

test('a controller killed again and again has all hits of its point', { timeout: 240_000 }, async () => {
  const kills = 5;
  const hits = 60;
  const { pid } = await startTicker(workplace);
  await workplace.startAgent();
  let controller = await workplace.startController();
  const [point] = (await workplace.json(
    'snap',
    String(pid),
    'pass',
    '--hits',
    String(hits),
    '--every',
    '100ms',
    '--detach',
  )) as [{ readonly id: string }];
  for (let killed = 0; killed < kills; killed++) {
    await sleep(Math.random() * 1000);
    const gone = new Promise((resolve) => controller.process.once('exit', resolve));
    controller.process.kill('SIGKILL');
    await gone;
    controller = await workplace.startController();
  }
  const snapshots = async (): Promise<readonly { readonly id: string; readonly time: string }[]> =>
    (await workplace.json('snapshots', '--point', point.id)) as {
      readonly id: string;
      readonly time: string;
    }[];
  await expect.poll(async () => (await snapshots()).length, { timeout: 120_000, interval: 500 }).toBe(hits);
  const all = await snapshots();
  expect(new Set(all.map(({ id }) => id)).size).toBe(hits);
  expect(new Set(all.map(({ time }) => time)).size).toBe(hits);
  expect(probeLinksOf(pid)).toEqual([]);
});
