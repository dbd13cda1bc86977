/**
 * Agent and controller killed at random instants while a point fires: as many snapshots as were asked for, each once, and nothing stays armed. The
 * agent is a process and is killed with -9; the controller is dropped in the middle of what it does, its store closed under it.
 * STILLFRAME_FLEET_KILLS says how often, 8 unless told.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FleetPlace } from '../support/fleet-place.js';

const kills = Number(process.env['STILLFRAME_FLEET_KILLS'] ?? '8');
const maxHits = Math.min(1000, kills * 8);

test(`${kills} kills`, { timeout: 120_000 + kills * 30_000 }, async () => {
  await using bench = new FleetPlace();
  let agent = await bench.place.startAgent();
  bench.open();
  await bench.connected(1);
  await bench.start();
  const spec = bench.spec({ maxHits, minIntervalNs: 100_000_000n });
  const { id } = await bench.points.set(spec);
  const unarmed = await bench.points.set(bench.spec({ condition: 'tick->number < 0' }));
  for (let killed = 0; killed < kills; killed++) {
    await sleep(Math.random() * 1500);
    if (killed % 2 === 0) {
      const gone = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill('SIGKILL');
      await gone;
      agent = await bench.place.startAgent();
    } else {
      await bench.drop();
      bench.open();
    }
  }
  await expect
    .poll(() => bench.document(id), { timeout: 120_000 })
    .toMatchObject({ state: 'ended', end: 'hits' });
  expect(bench.store.countSnapshots(id)).toEqual({ stored: maxHits, surplus: 0 });
  const times = bench.store.listSnapshots({ point: id }).map(({ timeNs }) => timeNs);
  expect(new Set(times).size).toBe(maxHits);
  await bench.state(unarmed.id, 'armed');
  await bench.points.remove(unarmed.id, 'removed');
  await expect.poll(() => bench.document(unarmed.id).why).toMatch(/^removed[^;]*$/);
  const views = (await bench.fleet.agents()[0]?.client.points()) ?? [];
  expect(views.filter(({ phase }) => phase !== 'ended')).toEqual([]);
  const spool = join(bench.place.folder, 'spool');
  await expect.poll(() => readdirSync(spool).filter((name) => name.endsWith('.core'))).toEqual([]);
});
