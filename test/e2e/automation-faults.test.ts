/**
 * What goes wrong around rules, on the shipped programs: hostile and unlucky webhooks, rules that cannot work, an alert that flaps, and
 * controller, agent and tracer killed with -9 at random instants while a rule fires. Bounds hold, all is counted, each error says what is
 * wrong, nothing is lost and nothing is left behind. STILLFRAME_KILLS says how often is killed, 20 times unless told; for a soak:
 * `STILLFRAME_KILLS=500 npx vitest run dist/test/e2e/automation-faults.test.js -t killed`.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  errorLocation,
  startLoad,
  startService,
  type Load,
  type Service,
} from '../../controller/cli/demo-automation/checkout.js';
import { startAgent, startController, type Controller } from '../../controller/cli/demo-automation/scene.js';
import { openStage, type Stage, type Started } from '../../controller/cli/demo-automation/stage.js';
import { alertBody, postAlert, type AlertBody, type AlertOptions } from '../support/alert-payload.js';
import { closedIncident, countedRule, eventually, type CountedRule } from '../support/automation.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';

const kills = Number(process.env['STILLFRAME_KILLS'] ?? '20');

let stage: Stage;
let service: Service;
let controllers: Controller[];

beforeEach(async () => {
  controllers = [];
  stage = openStage('faults');
  service = await startService(stage);
});
afterEach(async () => {
  for (const controller of controllers) controller[Symbol.dispose]();
  await stage[Symbol.asyncDispose]();
});

async function control(rules: string, http?: string): Promise<Controller> {
  const file = join(stage.folder, 'rules.yaml');
  writeFileSync(file, rules);
  const controller = await startController(stage, { rules: file, ...(http === undefined ? {} : { http }) });
  controllers.push(controller);
  await eventually('the agent is connected', async () =>
    controller.api.targets(`service:${stage.serviceName}`).then(
      (targets) => targets.length === 1,
      () => false,
    ),
  );
  return controller;
}

/** Fires on alert `Flaps`, as often as once a second. */
const flapRule = (limits: string): string => `rules:
  - name: flaps
    when: { alertmanager: { alert: Flaps } }
    where: 'service:{{ labels.job }}'
    allow: { job: [${stage.serviceName}] }
    what:
      - snapshot: { at: ${errorLocation()}, every: 20ms }
    limits: ${limits}
`;

const flaps = (options: Omit<AlertOptions, 'name' | 'job'>): AlertBody =>
  alertBody({ name: 'Flaps', job: stage.serviceName, ...options });

/** Every alert that a rule was handed is in one of these. */
const total = ({ firings, refused, repeated }: CountedRule): number => firings + refused + repeated;

/** Where the error line is in the process: as a snapshot says, for a point that has ended does not tell. */
async function errorAddress(api: Controller['api']): Promise<bigint> {
  const { location } = await api.show({ name: 'last' }, {});
  return BigInt(location?.address ?? 0);
}

describe('webhooks', () => {
  test('too large, malformed, replayed, without a token: each is refused or counted once', async () => {
    await startAgent(stage);
    const { api, webhook, token, started } = await control(
      flapRule('{ cooldown: 1s, expire: 10s, hits: 1 }'),
    );
    const residentMiB = (): number =>
      Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${started.pid}/status`, 'utf8'))?.[1]) / 1024;
    const good = flaps({ startsAt: new Date() });
    const json = JSON.stringify(good);

    for (const [wrong, text] of [
      [undefined, 'Bearer token is missing'],
      ['', 'Bearer token is missing'],
      ['x'.repeat(token.length), 'Bearer token is wrong'],
      [token.slice(0, -1), 'Bearer token is wrong'],
    ] as const) {
      const { status, text: answer } = await postAlert(webhook, wrong, good);
      expect(status).toBe(401);
      expect(answer).toContain(text);
    }
    for (const [body, text] of [
      ['', 'empty'],
      ['{"version": "4", ', 'JSON'],
      ['[]', 'version'],
      [{ ...good, version: '5' }, 'version'],
      [{ ...good, alerts: 'none' }, 'alerts'],
      [{ ...good, alerts: [{ ...good.alerts[0], labels: { alertname: 7 } }] }, 'labels'],
    ] as const) {
      const { status, text: answer } = await postAlert(webhook, token, body);
      expect(status, JSON.stringify(body)).toBe(400);
      expect(answer, JSON.stringify(body)).toContain(text);
    }

    const before = residentMiB();
    const large = `{"version":"4","padding":"${'x'.repeat(10 * 1024 * 1024)}"}`;
    for (let i = 0; i < 5; i++) {
      // The server may hang up before all of it is sent.
      const answer = await postAlert(webhook, token, large).catch((error: unknown) => ({
        status: 0,
        text: String(error),
      }));
      expect([0, 413]).toContain(answer.status);
      const stranger = await postAlert(webhook, undefined, large).catch(() => ({ status: 0 }));
      expect([0, 401]).toContain(stranger.status);
    }
    expect(residentMiB() - before).toBeLessThan(60);
    expect(total(await countedRule(api, 'flaps'))).toBe(0);

    // After all that a good one is taken, at once; sent again, it is the same one.
    for (let i = 0; i < 5; i++) {
      const { status, ms } = await postAlert(webhook, token, json);
      expect(status).toBe(200);
      // Nothing waits for what the rule does, which takes its expiry.
      expect(ms).toBeLessThan(9000);
    }
    await eventually('it fired', async () => (await countedRule(api, 'flaps')).firings === 1);
    await sleep(1000);
    expect(total(await countedRule(api, 'flaps'))).toBe(1);
  });

  test('labels are not trusted', async () => {
    await startAgent(stage);
    const { api, webhook, token } = await control(flapRule('{ cooldown: 1s, expire: 10s }'));
    const jobs = [
      'billing',
      `${stage.serviceName}@elsewhere`,
      `../${stage.serviceName}`,
      `${stage.serviceName}\n`,
      '{{ labels.job }}',
      '',
      'x'.repeat(5000),
    ];
    for (const job of jobs) {
      const { status } = await postAlert(webhook, token, flaps({ labels: { job }, startsAt: new Date() }));
      expect(status).toBe(200);
    }
    await eventually(
      'all are refused',
      async () => (await countedRule(api, 'flaps')).refused === jobs.length,
    );
    expect((await countedRule(api, 'flaps')).firings).toBe(0);
    expect(await api.points()).toEqual([]);
  });

  test('an alert that flaps each second: cooldown and budget hold, and each is counted', async () => {
    await startAgent(stage);
    const load = await startLoad(stage, service, 500);
    load.mix('yen', 5);
    const { api, webhook, token } = await control(
      flapRule('{ cooldown: 4s, per-day: 3, hits: 3, stacks: 100, expire: 10s }'),
    );
    const seconds = 20;
    let accepted = 0;
    for (let i = 0; i < seconds; i++) {
      const startsAt = new Date();
      const { status } = await postAlert(webhook, token, flaps({ startsAt }));
      if (status === 200) accepted++;
      await sleep(500);
      await postAlert(webhook, token, flaps({ startsAt, status: 'resolved' }));
      await sleep(500);
    }
    expect(accepted).toBe(seconds);
    const rule = await eventually('all are counted', async () => {
      const found = await countedRule(api, 'flaps');
      return total(found) === accepted ? found : undefined;
    });
    // One at the beginning, then one every four seconds, and no more than three a day.
    expect(rule.firings).toBe(3);
    expect(rule.why).toContain('3 of 3 firings of 24 h are used up');
    for (const { id } of await api.incidents({ rule: 'flaps' })) {
      const incident = await eventually('it is closed', async () => {
        const found = await api.incident(id);
        return found.state === 'closed' ? found : undefined;
      });
      expect(incident.snapshots).toBeLessThanOrEqual(3);
    }
    await eventually('no point is left', async () =>
      (await api.points()).every(({ state }) => state === 'ended' || state === 'failed'),
    );
    expect(breakpointsAt(service.pid, [await errorAddress(api)])).toBe(0);
  });
});

/** A port of this host that nobody listens on. */
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

describe('rules that cannot work', () => {
  const bad = (
    name: string,
    parts: { where?: string; at?: string; more?: string; when?: string },
  ): string => `
  - name: ${name}
    when: ${parts.when ?? '{ manual: {} }'}
    where: ${parts.where ?? `service:${stage.serviceName}`}
    what:
      - snapshot: { at: ${parts.at ?? errorLocation()}${parts.more ?? ''} }
    limits: { cooldown: 1s, expire: 10s, suspend-after: 2 }
`;

  test(
    'each says why, and after two failures it is suspended and says so',
    { timeout: 180_000 },
    async () => {
      await startAgent(stage);
      const down = `http://127.0.0.1:${await unusedPort()}`;
      const { api } = await control(
        `rules:${[
          bad('no-target', { where: 'name:no-such-program' }),
          bad('no-line', { at: 'failure.c:4000' }),
          bad('no-function', { at: 'fail_oder' }),
          bad('no-variable', { more: ", if: 'ordr->total < 0'" }),
          bad('no-member', { more: ", capture: ['order->coupon->curency']" }),
          bad('no-prometheus', {
            when: `{ prometheus: { url: '${down}', query: up, above: 0, every: 1s } }`,
          }),
          bad('works', {}),
        ].join('')}`,
      );
      const failing: readonly [string, RegExp][] = [
        ['no-target', /no process/],
        ['no-line', /failure\.c:4000|line 4000/],
        ['no-function', /fail_oder/],
        ['no-variable', /ordr/],
        ['no-member', /curency/],
      ];
      for (const [name, text] of failing) {
        const tested = await api.testRule(name);
        const wrong = tested.steps.filter(({ ok }) => !ok).map((step) => step.text);
        expect(wrong.length, JSON.stringify(tested)).toBeGreaterThan(0);
        expect(wrong.join('\n')).toMatch(text);
      }
      for (let round = 0; round < 2; round++) {
        for (const [name] of failing) {
          expect(await api.fireRule(name, { labels: {}, owner: 'test' })).toMatchObject({ fired: true });
        }
        for (const [name, text] of failing) {
          const incident = await closedIncident(api, name, { number: round + 1 });
          expect(incident.snapshots).toBe(0);
          expect(incident.timeline.map((event) => event.text).join('\n'), name).toMatch(text);
        }
      }
      for (const [name, text] of failing) {
        const rule = await countedRule(api, name);
        expect(rule, name).toMatchObject({ state: 'suspended', firings: 2, failures: 2 });
        expect(rule.why).toMatch(/^suspended after 2 firings/);
        expect(rule.why).toMatch(text);
      }

      const prometheus = await countedRule(api, 'no-prometheus');
      expect(prometheus.firings).toBe(0);
      expect(prometheus.why).toContain(down);
      expect(prometheus.why).toMatch(/ECONNREFUSED|refused/);

      // None of that keeps a rule that works from working.
      const load = await startLoad(stage, service, 200);
      load.mix('yen', 10);
      expect(await api.fireRule('works', { labels: {}, owner: 'test' })).toMatchObject({ fired: true });
      expect((await closedIncident(api, 'works')).snapshots).toBeGreaterThan(0);
    },
  );

  test('a file with an error keeps the rules as they were', async () => {
    await startAgent(stage);
    const { api } = await control(`rules:${bad('first', {})}`);
    const file = join(stage.folder, 'rules.yaml');
    writeFileSync(file, `rules:${bad('first', {})}${bad('second', { more: ', evry: 1s' })}`);
    const rule = await eventually('the error is told', async () => {
      const found = await countedRule(api, 'first');
      return found.why.includes('evry') ? found : undefined;
    });
    expect(rule.why).toMatch(/rules\.yaml:\d+:\d+/);
    expect(rule.state).toBe('active');
    writeFileSync(file, `rules:${bad('first', {})}${bad('second', {})}`);
    await eventually('both run', async () => (await api.rules()).length === 2);
  });
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Whoever is killed is started again a little later, by itself (the tracer) or as systemd would. */
class Killed {
  readonly #rules: string;
  controller: Controller;
  /** All of them; the last one lives. */
  readonly agents: Started[];
  readonly deaths = { controller: 0, agent: 0, tracer: 0 };

  constructor(rules: string, controller: Controller, agent: Started) {
    this.#rules = rules;
    this.controller = controller;
    this.agents = [agent];
  }

  get agent(): Started {
    const last = this.agents.at(-1);
    if (last === undefined) throw new Error('no agent');
    return last;
  }

  async kill(victim: keyof Killed['deaths']): Promise<void> {
    this.deaths[victim]++;
    if (victim === 'tracer') {
      const [tracer] = childrenOf(this.agent.pid);
      // It may be just being started.
      if (tracer !== undefined) process.kill(tracer, 'SIGKILL');
      return;
    }
    if (victim === 'agent') {
      await this.agent.kill();
      await sleep(Math.random() * 300);
      this.agents.push(await startAgent(stage));
      return;
    }
    await this.controller.started.kill();
    await sleep(Math.random() * 300);
    this.controller = await control(this.#rules, new URL(this.controller.webhook).host);
  }
}

/** Posts a new alert about three times a second until it is stopped. What was answered with 200 must never be forgotten. */
function startPosting(target: () => Controller): { stop(): Promise<{ accepted: number; sent: number }> } {
  const counts = { accepted: 0, sent: 0 };
  const stopped = new AbortController();
  const done = (async () => {
    while (!stopped.signal.aborted) {
      const { webhook, token } = target();
      counts.sent++;
      const posted = await postAlert(webhook, token, flaps({ startsAt: new Date() })).catch(() => undefined);
      if (posted?.status === 200) counts.accepted++;
      await sleep(250 + Math.random() * 100);
    }
  })();
  return {
    async stop() {
      stopped.abort();
      await done;
      return counts;
    },
  };
}

test(
  `controller, agent and tracer killed ${kills} times while a rule fires`,
  { timeout: 120_000 + kills * 15_000 },
  async () => {
    const load: Load = await startLoad(stage, service, 300);
    load.mix('yen', 10);
    const limits = { cooldownMs: 1000, hits: 4 };
    const rules = flapRule(
      `{ cooldown: 1s, per-day: 1000, hits: ${limits.hits}, stacks: 100, expire: 10s, suspend-after: 100 }`,
    );
    const agent = await startAgent(stage);
    const begin = Date.now();
    const running = new Killed(rules, await control(rules), agent);
    const posting = startPosting(() => running.controller);
    const victims = ['controller', 'agent', 'tracer'] as const;
    for (let i = 0; i < kills; i++) {
      await sleep(Math.random() * 2500);
      await running.kill(victims[i % victims.length] ?? 'controller');
    }
    // Something comes of it again when nobody is killed any more.
    const { api } = running.controller;
    const before = await countedRule(api, 'flaps');
    await eventually(
      'it fires again',
      async () => (await countedRule(api, 'flaps')).firings > before.firings + 1,
    );
    const { accepted, sent } = await posting.stop();
    const tookMs = Date.now() - begin;

    // Every alert that was acknowledged is counted; one may have been taken whose answer died with the controller.
    await eventually(
      'all that was accepted is counted',
      async () => total(await countedRule(api, 'flaps')) >= accepted,
    );
    const incidents = await eventually('all incidents are closed', async () => {
      const all = await api.incidents({ rule: 'flaps' });
      return all.every(({ state }) => state === 'closed') ? all : undefined;
    });
    const rule = await countedRule(api, 'flaps');
    expect(total(rule)).toBeLessThanOrEqual(sent);
    expect(rule.firings).toBeLessThanOrEqual(tookMs / limits.cooldownMs + 1);
    expect(incidents.length).toBe(rule.firings);
    await eventually('every point has ended', async () =>
      (await api.points()).every(({ state }) => state === 'ended' || state === 'failed'),
    );
    // What is on its way yet will be among the stored ones.
    await eventually('the spool is empty', () => spooledCores().length === 0);
    const stored = await api.snapshots({});
    const ids = new Set(stored.map(({ id }) => id));
    expect(ids.size).toBe(stored.length);
    const told: string[] = [];
    for (const { id } of incidents) {
      const incident = await api.incident(id);
      // Snapshots that are under way when the limit is reached are kept, too: no more than one of each process.
      expect(incident.snapshots, JSON.stringify(incident.timeline)).toBeLessThanOrEqual(limits.hits + 1);
      told.push(...incident.groups.flatMap(({ snapshots }) => snapshots));
    }
    expect(told.length).toBeGreaterThan(0);
    expect(new Set(told).size).toBe(told.length);
    expect(told.filter((id) => !ids.has(id))).toEqual([]);
    // Every snapshot that any of the agents had taken is there, but for those that its point had no room for.
    const taken = running.agents.flatMap(({ lines }) => lines.flatMap(spooledId));
    const surplus = surplusIds();
    expect(taken.length).toBeGreaterThanOrEqual(told.length / 2);
    expect(taken.filter((id) => !ids.has(id) && !surplus.has(id))).toEqual([]);
    for (const id of told.slice(-5)) {
      const shown = await api.show({ name: id }, {});
      expect(shown.frames[0]?.function).toBe('fail_order');
    }

    expect(breakpointsAt(service.pid, [await errorAddress(api)])).toBe(0);
    expect(disturbedThreads(service.pid)).toEqual([]);
    const reports = load.reports();
    expect(reports.at(-1)?.wrong).toBe(0);
    console.log(
      `killed: ${JSON.stringify(running.deaths)}; alerts: ${accepted} of ${sent} accepted, ${rule.firings} fired, ${rule.repeated} repeated, ${rule.refused} refused; ${stored.length} snapshots of ${incidents.length} incidents`,
    );
  },
);

/** The snapshot, where a line of an agent's log says that it is in the spool. */
function spooledId(line: string): string[] {
  if (!line.includes('"snapshot spooled"')) return [];
  const { snapshot } = JSON.parse(line) as { readonly snapshot: string };
  return [snapshot];
}

/** As the store wrote them down. */
function surplusIds(): Set<string> {
  const database = new Sqlite(join(stage.folder, 'store', 'index.db'), { readonly: true });
  try {
    const rows = database.prepare<[], { readonly id: string }>('SELECT id FROM surplus').all();
    return new Set(rows.map(({ id }) => id));
  } finally {
    database.close();
  }
}

const spooledCores = (): string[] =>
  readdirSync(join(stage.folder, 'spool')).filter((name) => name.endsWith('.core'));
