import { describe, expect, test } from 'vitest';
import { parseAlertPayload } from '../../../controller/automation/alert-payload.js';
import { thrown } from '../../support/thrown.js';
import { alertBody, type AlertBody } from './alert-payload.js';
import { settled } from './fake-clock.js';
import { Stage } from './stage.js';

const minute = 60_000;
const rules = (limits = '', rest = ''): string => `rules:
  - name: checkout-errors
    when: { alertmanager: { alert: CheckoutErrors, labels: { severity: page } } }
    where: 'service:{{ labels.job }}'
    allow: { job: [checkout, 'cart-*'], annotations.capture: ['order->customer->name', 'order->id'] }
    what: [{ snapshot: { at: 'orders.c:88', capture: '{{ annotations.capture }}' } }]
    limits: { cooldown: 10m, per-day: 5, hits: 10, stacks: 3, expire: 15m${limits} }
    ${rest}
`;

async function opened(text = rules()): Promise<Stage> {
  const stage = new Stage({ rules: text });
  await stage.start();
  return stage;
}
async function send(stage: Stage, body: AlertBody): Promise<unknown> {
  const receipt = stage.automation.acceptAlerts(parseAlertPayload(body));
  await settled();
  return receipt;
}
const resolved = (alert: AlertBody = {}): AlertBody =>
  alertBody({ status: 'resolved' }, { status: 'resolved', endsAt: '2026-01-05T12:01:00Z', ...alert });

describe('the body', () => {
  test('as it really is', () => {
    const { alerts, groupKey, truncated } = parseAlertPayload(alertBody({ truncatedAlerts: 3 }));
    expect({ groupKey, truncated }).toEqual({ groupKey: '{}:{alertname="CheckoutErrors"}', truncated: 3 });
    expect(alerts).toEqual([
      {
        status: 'firing',
        labels: {
          alertname: 'CheckoutErrors',
          instance: '127.0.0.1:9100',
          job: 'checkout',
          severity: 'page',
        },
        annotations: { summary: 'checkout answers 4.2 errors a second', capture: 'order->customer->name' },
        startsAt: '2026-01-05T11:59:30.123Z',
        generatorUrl: 'http://127.0.0.1:9090/graph?g0.expr=errors&g0.tab=1',
        key: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
    ]);
  });

  test('an alert has one key, firing or resolved; another group, fingerprint or beginning has another', () => {
    const keyOf = (body: AlertBody): string => parseAlertPayload(body).alerts[0]?.key ?? '';
    const key = keyOf(alertBody());
    expect(keyOf(resolved())).toBe(key);
    expect(keyOf(alertBody({}, { annotations: {} }))).toBe(key);
    const others = [
      alertBody({ groupKey: 'x' }),
      alertBody({}, { fingerprint: 'x' }),
      alertBody({}, { startsAt: '2026-01-05T11:59:30.124Z' }),
      alertBody({}, { fingerprint: undefined }),
    ].map(keyOf);
    expect(new Set([key, ...others]).size).toBe(5);
  });

  test('long values are cut, and many left out', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`l${i}`, 'x'.repeat(2000)]));
    const [alert] = parseAlertPayload(alertBody({}, { labels: many, annotations: many })).alerts;
    expect(Object.keys(alert?.labels ?? {})).toHaveLength(64);
    expect(alert?.annotations['l0']).toHaveLength(1025);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'cannot read the alerts: is missing'],
    ['a list', [], 'cannot read the alerts: must be an object'],
    ['another version', alertBody({ version: '3' }), 'cannot read the alerts: version must be "4"'],
    ['no version', alertBody({ version: undefined }), 'cannot read the alerts: version is missing'],
    ['no group', alertBody({ groupKey: undefined }), 'cannot read the alerts: groupKey is missing'],
    [
      'a status that is none',
      alertBody({ status: 'silenced' }),
      'cannot read the alerts: status must be "firing" or "resolved"',
    ],
    ['alerts that are no list', alertBody({ alerts: {} }), 'cannot read the alerts: alerts must be a list'],
    [
      'an alert that is none',
      alertBody({ alerts: [null] }),
      'cannot read the alerts: alerts[0] must be an object',
    ],
    [
      'a label that is a number',
      alertBody({}, { labels: { job: 5 } }),
      'cannot read the alerts: alerts[0].labels.job must be text',
    ],
    [
      'no labels',
      alertBody({}, { labels: undefined }),
      'cannot read the alerts: alerts[0].labels is missing',
    ],
    ['no time', alertBody({}, { startsAt: 'noon' }), 'cannot read the alerts: alerts[0].startsAt is no time'],
    [
      'a long fingerprint',
      alertBody({}, { fingerprint: 'x'.repeat(300) }),
      'cannot read the alerts: alerts[0].fingerprint has more than 256 characters',
    ],
    [
      'a long name',
      alertBody({}, { labels: { ['x'.repeat(300)]: 'y' } }),
      `cannot read the alerts: alerts[0].labels.${'x'.repeat(300)} is too long a name`,
    ],
    [
      'half an alert left out',
      alertBody({ truncatedAlerts: 0.5 }),
      'cannot read the alerts: truncatedAlerts must be a whole number',
    ],
    [
      'too many',
      alertBody({ alerts: Array.from({ length: 1001 }, () => ({})) }),
      'cannot read the alerts: alerts has more than 1000 entries',
    ],
  ])('%s', (_, body, message) => {
    expect(thrown(() => parseAlertPayload(body))).toBe(`bad-data: ${message}`);
  });
});

describe('alerts', () => {
  test('fire the rule that waits for them, with what they say filled in', async () => {
    await using stage = await opened();
    expect(await send(stage, alertBody({ truncatedAlerts: 2 }))).toEqual({
      received: 1,
      accepted: 1,
      repeated: 0,
      unknown: 0,
    });
    expect(stage.incidents.find('i1').cause).toMatchObject({
      rule: 'checkout-errors',
      trigger: 'alertmanager',
      text: 'alert CheckoutErrors is firing: checkout answers 4.2 errors a second',
      labels: { job: 'checkout' },
      facts: {
        startsAt: '2026-01-05T11:59:30.123Z',
        received: '2026-01-05T12:00:00.000Z',
        truncatedAlerts: 2,
      },
    });
    expect([...stage.points.points.values()][0]?.spec).toMatchObject({
      target: 'service:checkout',
      captures: ['order->customer->name'],
    });
    expect((await stage.rule()).why).toContain(
      'last alert at 2026-01-05T12:00:00.000Z, fired: alert CheckoutErrors is firing',
    );
    expect(stage.log.lines.some((line) => line.startsWith('warn alertmanager left out alerts'))).toBe(true);
  });

  test('are handled once, however often they are sent, also after a restart', async () => {
    await using stage = await opened();
    await send(stage, alertBody());
    for (let i = 0; i < 5; i++) {
      expect(await send(stage, alertBody())).toMatchObject({ accepted: 0, repeated: 1 });
    }
    stage.kill();
    await stage.start();
    stage.clock.set(stage.clock.nowMs() + 20 * minute);
    await stage.clock.advance(2000);
    expect(await send(stage, alertBody())).toMatchObject({ accepted: 0, repeated: 1 });
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.automation.counters().rules[0]).toMatchObject({ firings: 1, repeated: 0, refused: {} });
  });

  test('are not lost when the controller is killed between the answer and the work', async () => {
    await using stage = await opened();
    stage.automation.acceptAlerts(parseAlertPayload(alertBody()));
    stage.kill();
    expect(stage.store.countWaitingAlerts()).toBe(1);
    await stage.start();
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.store.countWaitingAlerts()).toBe(0);
  });

  test('wait for a rule whose file has an error, and are dropped when it is gone', async () => {
    await using stage = await opened();
    stage.automation.acceptAlerts(parseAlertPayload(alertBody()));
    stage.kill();
    stage.write('rules: [');
    await stage.start();
    await stage.clock.advance(5000);
    expect(stage.store.countWaitingAlerts()).toBe(1);
    stage.write(rules());
    await stage.clock.advance(3000);
    expect(stage.incidents.incidents).toHaveLength(1);

    stage.automation.acceptAlerts(parseAlertPayload(alertBody({ groupKey: 'other' })));
    stage.kill();
    stage.write('rules: []');
    await stage.start();
    expect(stage.store.countWaitingAlerts()).toBe(0);
    expect(stage.automation.counters().alerts).toMatchObject({ dropped: 1, waiting: 0 });
  });

  test('that no rule waits for are counted', async () => {
    await using stage = await opened();
    const labels = { alertname: 'CheckoutErrors', severity: 'ticket' };
    expect(await send(stage, alertBody({}, { labels }))).toEqual({
      received: 1,
      accepted: 0,
      repeated: 0,
      unknown: 1,
    });
    expect(stage.automation.counters().alerts).toMatchObject({ received: 1, unknown: 1, accepted: 0 });
  });

  test('with a label that is not allowed are refused, once each', async () => {
    await using stage = await opened();
    const labels = { alertname: 'CheckoutErrors', severity: 'page', job: 'checkout@evil' };
    await send(stage, alertBody({}, { labels }));
    await send(stage, alertBody({}, { labels }));
    expect(stage.incidents.incidents).toEqual([]);
    expect(await stage.rule()).toMatchObject({ refused: 1 });
    expect((await stage.rule()).why).toContain('label "job" is "checkout@evil", which allow does not have');
  });

  test('with an annotation that asks for something else are refused', async () => {
    await using stage = await opened();
    await send(stage, alertBody({}, { annotations: { capture: 'order->card->number' } }));
    expect(stage.points.points.size).toBe(0);
    expect((await stage.rule()).why).toContain(
      'annotation "capture" is "order->card->number", which no entry of allow spells out',
    );
  });

  test('that cannot be written down stay, and are tried again', async () => {
    let isFull = false;
    await using stage = new Stage({
      rules: rules(),
      step: (name) => {
        if (isFull && name === 'before save') throw new Error('the disk is full');
      },
    });
    await stage.start();
    isFull = true;
    await send(stage, alertBody());
    await stage.clock.advance(5000);
    expect(stage.incidents.incidents).toEqual([]);
    expect(stage.store.countWaitingAlerts()).toBe(1);
    expect(stage.log.lines.some((line) => line.includes('cannot write down a firing'))).toBe(true);
    isFull = false;
    await stage.clock.advance(2000);
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.store.countWaitingAlerts()).toBe(0);
  });
});

describe('alerts that are resolved', () => {
  test('are noted, and close the incident when it has a snapshot', async () => {
    await using stage = await opened();
    await send(stage, alertBody());
    await send(stage, resolved());
    expect(stage.incidents.timeline().at(-1)).toBe(
      'resolved: alert CheckoutErrors is resolved: checkout answers 4.2 errors a second',
    );
    expect(stage.incidents.find('i1').closed).toBeUndefined();
    stage.points.hit('p1', 'x');
    await settled();
    expect(stage.incidents.find('i1').closed).toBe('the alert is resolved: one snapshot came, one stack');
    expect(stage.points.live).toEqual([]);
  });

  test('of another incident, or of none, change nothing', async () => {
    await using stage = await opened();
    expect(await send(stage, resolved())).toMatchObject({ accepted: 1 });
    await send(stage, alertBody({}, { startsAt: '2026-01-05T12:00:00Z' }));
    await send(stage, resolved({ startsAt: '2026-01-05T11:00:00Z' }));
    expect(stage.incidents.timeline().filter((line) => line.startsWith('resolved'))).toEqual([]);
    expect(stage.store.countWaitingAlerts()).toBe(0);
  });
});

describe('an alert that flaps each second for an hour', () => {
  const flap = async (stage: Stage): Promise<void> => {
    for (let s = 0; s < 3600; s += 2) {
      const startsAt = new Date(stage.clock.nowMs()).toISOString();
      await send(stage, alertBody({}, { startsAt }));
      await stage.clock.advance(1000);
      await send(stage, resolved({ startsAt }));
      await stage.clock.advance(1000);
    }
  };

  test('is one incident within the cooldown, and everything is counted', async () => {
    await using stage = await opened(rules(', cooldown: 2h').replace('cooldown: 10m, ', ''));
    await flap(stage);
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.points.points.size).toBe(1);
    const { firings, repeated, refused } = stage.automation.counters().rules[0] ?? {
      repeated: 0,
      refused: {},
    };
    expect(firings).toBe(1);
    expect(1 + repeated + (refused.cooldown ?? 0)).toBe(1800);
    expect(stage.automation.counters().alerts).toMatchObject({
      received: 3600,
      accepted: 3600,
      handled: 3600,
      waiting: 0,
    });
    // The timeline and the log stay readable.
    const events = stage.incidents.find('i1').events;
    expect(events.filter(({ kind }) => kind === 'repeated').length).toBeLessThan(12);
    expect(stage.log.lines.filter((line) => line.includes('did not fire')).length).toBeLessThan(70);
  });

  test('never fires more often than its bounds allow', async () => {
    await using stage = await opened(
      rules(', per-day: 3, cooldown: 5m, expire: 1m').replace(
        'cooldown: 10m, per-day: 5, hits: 10, stacks: 3, expire: 15m, ',
        '',
      ),
    );
    await flap(stage);
    const times = stage.incidents.incidents.map(({ events }) => events[0]?.timeMs ?? 0);
    expect(times).toHaveLength(3);
    expect(Math.min(...times.slice(1).map((at, i) => at - (times[i] ?? 0)))).toBeGreaterThanOrEqual(
      5 * minute,
    );
    expect(await stage.rule()).toMatchObject({ state: 'spent' });
  });
});
