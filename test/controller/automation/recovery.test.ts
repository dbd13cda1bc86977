/** Kills between any two things that last, with a store that knows no transactions: budgets hold, nothing happens twice, nothing is lost. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AlertPayload } from '../../../controller/automation/alert-payload.js';
import { settled } from './fake-clock.js';
import type { Step } from './fakes.js';
import { Stage } from './stage.js';

const minute = 60_000;
const day = 24 * 60 * minute;
const limits = { cooldown: 3 * minute, perDay: 3, hits: 3, stacks: 2 };
const rules = `rules:
  - name: r
    when: { alertmanager: { alert: A } }
    where: name:x
    what: [{ snapshot: { at: 'f.c:1' } }, { now: {} }, { snapshot: { at: 'g.c:1' } }]
    limits: { cooldown: 3m, per-day: 3, hits: 3, stacks: 2, expire: 2m }
`;

/** Lets so many things that last happen, and then none any more: what is killed does nothing. */
function mortal(steps: number): { readonly step: Step; readonly isDead: () => boolean } {
  let left = steps;
  let dead = false;
  return {
    step: (name) => {
      dead ||= left <= 0;
      if (dead) throw new Error(`killed at "${name}"`);
      left--;
    },
    isDead: () => dead,
  };
}

function payload(key: string, status: 'firing' | 'resolved'): AlertPayload {
  const alert = { status, labels: { alertname: 'A' }, annotations: {}, startsAt: '', generatorUrl: '', key };
  return { groupKey: '', alerts: [alert], truncated: 0 };
}

/** A controller that is killed and started again, and whoever talks to it meanwhile, who tries again until it is heard. */
class Mortals implements AsyncDisposable {
  readonly stage: Stage;
  #life: ReturnType<typeof mortal>;

  constructor(firstLife: number) {
    this.#life = mortal(firstLife);
    this.stage = new Stage({ rules, step: (name) => this.#life.step(name) });
  }

  /** `lives`: how long each of the next ones lasts, before one that is not killed. */
  async revive(lives: readonly number[]): Promise<void> {
    for (const life of [...lives, Infinity]) {
      this.#life = mortal(life);
      const { step } = this.#life;
      this.stage.kill(step);
      try {
        await this.stage.start();
        await this.stage.clock.advance(1000);
      } catch (error) {
        if (!this.#life.isDead()) throw error;
      }
      if (!this.#life.isDead()) return;
    }
  }

  get isDead(): boolean {
    return this.#life.isDead();
  }

  async start(lives: readonly number[]): Promise<void> {
    try {
      await this.stage.start();
    } catch (error) {
      if (!this.isDead) throw error;
    }
    if (this.isDead) await this.revive(lives);
  }

  /** As Alertmanager does: what was not answered is sent again. */
  async send(key: string, status: 'firing' | 'resolved', lives: readonly number[]): Promise<void> {
    for (let next = lives; ; next = []) {
      try {
        this.stage.automation.acceptAlerts(payload(key, status));
        break;
      } catch (error) {
        if (!this.isDead) throw error;
        await this.revive(next);
      }
    }
    await settled();
    if (this.isDead) await this.revive([]);
  }

  async pass(ms: number, lives: readonly number[]): Promise<void> {
    await this.stage.clock.advance(ms);
    if (this.isDead) await this.revive(lives);
  }

  async hit(stack: string, lives: readonly number[]): Promise<void> {
    const point = this.stage.points.live.at(-1);
    if (point === undefined) return;
    this.stage.points.hit(point.id, stack);
    await settled();
    if (this.isDead) await this.revive(lives);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stage[Symbol.asyncDispose]();
  }
}

function checkBudgets({ incidents, points }: Stage): void {
  const opened = incidents.incidents.map(({ events }) => events[0]?.timeMs ?? 0);
  for (const [i, at] of opened.entries()) {
    const later = opened.slice(i).filter((each) => each < at + day);
    expect(later.length).toBeLessThanOrEqual(limits.perDay);
    expect((opened[i + 1] ?? Infinity) - at).toBeGreaterThanOrEqual(limits.cooldown);
  }
  expect(incidents.listOpen().length).toBeLessThanOrEqual(1);
  const alerts = incidents.incidents.map(({ cause }) => cause.facts['alert']);
  expect(new Set(alerts).size).toBe(alerts.length);
  for (const { id, events } of incidents.incidents) {
    const counted = events.filter(
      ({ kind, text }) => kind === 'snapshot' && text.includes(` of ${limits.hits}`),
    );
    expect(counted.length).toBeLessThanOrEqual(limits.hits);
    expect(new Set(counted.map(({ facts }) => facts['snapshot'])).size).toBe(counted.length);
    expect(events.filter(({ kind }) => kind === 'new-stack').length).toBeLessThanOrEqual(limits.stacks);
    const notes = points
      .list()
      .filter(({ incident }) => incident === id)
      .map(({ note }) => note);
    expect(new Set(notes).size).toBe(notes.length);
  }
}

/** Everything that was begun has come to its end. */
async function checkEnd(mortals: Mortals): Promise<void> {
  await mortals.pass(10 * minute, []);
  await mortals.pass(10 * minute, []);
  const { stage } = mortals;
  expect(stage.incidents.listOpen()).toEqual([]);
  expect(stage.points.live).toEqual([]);
  expect(stage.store.countWaitingAlerts()).toBe(0);
  checkBudgets(stage);
}

describe('one firing, killed after each thing that lasts', () => {
  const story = async (lives: readonly number[]): Promise<Stage> => {
    await using mortals = new Mortals(lives[0] ?? Infinity);
    const later = lives.slice(1);
    await mortals.start(later);
    await mortals.send('a', 'firing', later);
    await mortals.pass(2000, later);
    await mortals.hit('x', later);
    await mortals.send('a', 'firing', later);
    await mortals.hit('y', later);
    await mortals.pass(2000, later);
    const { stage } = mortals;
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.incidents.find('i1').closed).toBe(
      '2 different stacks came, as many as limits.stacks allows',
    );
    const notes = stage.points.list().map(({ note }) => note);
    expect(notes).toEqual(['step 1 of rule r', 'step 3 of rule r']);
    // Of a step that was killed while it took threads, nobody knows whether it did: it is not taken twice.
    expect(stage.nows.length).toBeLessThanOrEqual(1);
    await checkEnd(mortals);
    return stage;
  };

  test('not killed at all', async () => {
    const stage = await story([]);
    expect(stage.nows).toHaveLength(1);
    expect(stage.store.writes).toBeGreaterThan(8);
  });

  test('once, at each of them', async () => {
    for (let life = 0; life < 90; life++) await story([life]);
  }, 240_000);

  test('and again while it recovers', async () => {
    for (let life = 3; life < 60; life += 7) for (let next = 1; next < 12; next++) await story([life, next]);
  }, 240_000);
});

describe('random stories', () => {
  const lives = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 3 });
  const command = fc.oneof(
    fc.record({ kind: fc.constant('fire' as const), key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f') }),
    fc.record({ kind: fc.constant('resolve' as const), key: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ kind: fc.constant('hit' as const), stack: fc.constantFrom('x', 'y', 'z') }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 4 * minute }) }),
    fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: 1, max: 15 * 60 * minute }) }),
    fc.record({ kind: fc.constant('kill' as const) }),
  );
  const story = fc.array(fc.record({ command, lives }), { maxLength: 25 });

  test('never exceed a budget, and come to their end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), story, async (firstLife, commands) => {
        await using mortals = new Mortals(firstLife);
        await mortals.start([]);
        for (const { command: each, lives: next } of commands) {
          if (each.kind === 'fire') await mortals.send(each.key, 'firing', next);
          else if (each.kind === 'resolve') await mortals.send(each.key, 'resolved', next);
          else if (each.kind === 'hit') await mortals.hit(each.stack, next);
          else if (each.kind === 'pass') await mortals.pass(each.ms, next);
          else if (each.kind === 'kill') await mortals.revive(next);
          else {
            mortals.stage.clock.set(mortals.stage.clock.nowMs() + each.ms);
            await mortals.pass(1000, next);
          }
          checkBudgets(mortals.stage);
        }
        await checkEnd(mortals);
      }),
      { numRuns: 60 },
    );
  }, 240_000);
});
