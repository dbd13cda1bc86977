/**
 * The controller killed between any two durable steps: the store's writes are counted, and at the chosen one everything stops, before or after it.
 * Another controller on the same store goes on; nothing is lost, nothing doubled, nothing stays armed that should not.
 */
import { describe, expect, test } from 'vitest';
import { pointOfArming } from '../../../format/identifier.js';
import type { Store } from '../../../controller/store/store.js';
import { armedAt } from './fake-fleet.js';
import { KeeperBench, rest } from './keeper-bench.js';

const build = 'aaaaaaaa11';
const shop = (pid: number) => ({ pid, name: 'shop', buildId: build });
const writes = ['putPoint', 'updatePoints', 'putArmings', 'deletePoint'] as const;

/** Stops at the given write; `when`: it is done, or is not. */
class Guillotine {
  count = 0;
  fallen = false;
  readonly #at: number;
  readonly #when: 'before' | 'after';

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at;
    this.#when = when;
  }

  wrap(store: Store): Store {
    const step = <T>(work: () => T): T => {
      if (this.fallen) throw new Error('killed');
      this.count += 1;
      const isIt = this.count === this.#at;
      if (isIt && this.#when === 'before') this.#fall();
      const result = work();
      if (isIt) this.#fall();
      return result;
    };
    const guarded: Record<string, unknown> = {};
    for (const name of writes) {
      guarded[name] = (...args: readonly unknown[]): unknown =>
        step((): unknown => Reflect.apply(store[name], store, args));
    }
    return {
      ...store,
      ...guarded,
      receive: (announced) => {
        if (this.fallen) throw new Error('killed');
        const writer = store.receive(announced);
        return { ...writer, commit: () => step(() => writer.commit()) };
      },
    };
  }

  #fall(): never {
    this.fallen = true;
    throw new Error('killed');
  }
}

/** Two hosts, a point of two hits, three hits, a removal of another point; the controller dies at one of its writes. */
async function live(at: number, when: 'before' | 'after'): Promise<boolean> {
  await using bench = new KeeperBench('web-1', 'web-2');
  const [web1, web2] = [bench.fleet.host('web-1'), bench.fleet.host('web-2')];
  const guillotine = new Guillotine(at, when);
  bench.crash((store) => guillotine.wrap(store));
  web1.start(shop(1));
  web2.start(shop(2));
  bench.fleet.connect();
  await rest();

  let crashed = false;
  const goOn = async (): Promise<void> => {
    if (!guillotine.fallen || crashed) return;
    crashed = true;
    bench.crash();
    bench.fleet.connect();
    await rest();
  };
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      const result = await work();
      await rest();
      await goOn();
      return result;
    } catch (error) {
      if (!guillotine.fallen) throw error;
      await goOn();
      return undefined;
    }
  };
  const known = (): string[] => bench.store.listPoints().map(({ id }) => id);
  const setAgain = async (part: object): Promise<string> => {
    const before = known();
    const point = await attempt(() => bench.set(part, true));
    // Whoever was not answered looks, and asks again.
    return point?.id ?? known().find((id) => !before.includes(id)) ?? (await bench.set(part, true)).id;
  };

  const id = await setAgain({ maxHits: 2 });
  const other = await setAgain({ maxHits: 5 });
  await rest();
  for (const [host, pid] of [
    [web1, 1],
    [web2, 2],
    [web1, 1],
  ] as const) {
    await attempt(async () => {
      host.hit(pid);
      await rest();
    });
  }
  const taken = bench.store.listSnapshots({ point: other }).length;
  await attempt(() => bench.keeper.remove(other, 'removed'));
  if (bench.document(other).state !== 'ended') await bench.keeper.remove(other, 'removed');
  await rest();

  expect(bench.store.countSnapshots(id).stored).toBe(2);
  expect(bench.document(id)).toMatchObject({ state: 'ended', delivered: 2 });
  expect(taken).toBe(3);
  expect(bench.document(other).state).toBe('ended');
  for (const host of [web1, web2]) {
    expect([...armedAt(host, id), ...armedAt(host, other)]).toEqual([]);
    expect(host.spool.size).toBe(0);
    // Once for each point and build, whatever happened in between.
    const armings = host.calls
      .filter((call) => call.startsWith('armed '))
      .map((call) => call.split(' ')[1] ?? '');
    expect(new Set(armings).size).toBe(armings.length);
    expect(new Set(armings.map(pointOfArming)).size).toBe(armings.length);
  }
  const rows = bench.store.listArmings().map(({ state }) => state);
  expect(rows.every((state) => state === 'closed')).toBe(true);
  // Announced at most once each; what was stored in the moment of the kill is in the store for whoever comes.
  const announced = bench.announced.map((record) => record.id);
  expect(new Set(announced).size).toBe(announced.length);
  return guillotine.fallen;
}

describe('killed at each write of the store', () => {
  test.each(['before', 'after'] as const)('%s it is done', async (when) => {
    let at = 1;
    for (; ; at += 1) {
      try {
        if (!(await live(at, when))) break;
      } catch (error) {
        throw new Error(`killed at write ${at}`, { cause: error });
      }
    }
    // The whole life has that many.
    expect(at).toBeGreaterThan(10);
  });
});
