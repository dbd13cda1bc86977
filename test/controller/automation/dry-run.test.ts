import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import type { SiteExplanation } from '../../../controller/planner/explain.js';
import type { ExplainDocument } from '../../../controller/service/documents.js';
import { target } from './fakes.js';
import { httpFake } from './http-fake.js';
import { Stage } from './stage.js';

const rules = (when: string, more = '', where = 'service:checkout'): string => `rules:
  - { name: r, when: ${when}, where: '${where}', what: [{ snapshot: { at: 'orders.c:88', if: 'status >= 500', capture: 'order->id' } }, { now: { processes: 2 } }], limits: { cooldown: 10m }${more} }
`;

const site: SiteExplanation = {
  address: '0x401136',
  function: 'process_order',
  file: '/src/orders.c',
  line: 88,
  inlined: false,
  inlinedInto: [],
  afterPrologue: false,
  instruction: { bytes: '55', group: 'push register', probe: 'emulated', cost: 'about 1 us' },
  captures: [],
  variables: [],
  ranges: { count: 1, expectedBytes: 1, mostBytes: 1 },
  cuts: [],
};
const explained = (change: Partial<ExplainDocument> = {}): ExplainDocument => ({
  location: 'orders.c:88',
  module: { path: '/usr/bin/checkout', buildId: 'ab' },
  sites: [site],
  dropped: [],
  stackBytes: 1,
  maxBytes: 1,
  targets: [],
  ...change,
});

async function tested(text: string, change: (stage: Stage) => void = () => undefined) {
  await using stage = new Stage({ rules: text });
  stage.explain = () => Promise.resolve(explained());
  change(stage);
  await stage.start();
  const document = await stage.automation.testRule('r');
  // It is a dry run.
  expect(stage.points.points.size + stage.nows.length + stage.incidents.incidents.length).toBe(0);
  return document;
}

describe('what a rule would do', () => {
  test('each step, and where', async () => {
    expect(
      await tested(rules('{ manual: {} }'), (stage) => {
        stage.targets = () =>
          Promise.resolve([target(1), target(2), target(3, 'web-2', { refusal: 'policy' })]);
      }),
    ).toEqual({
      rule: 'r',
      trigger: { ok: true, text: 'fires by hand only' },
      steps: [
        { step: 'where service:checkout', ok: true, text: '2 fit: checkout 1@web-1, checkout 2@web-1' },
        {
          step: 'snapshot orders.c:88 if status >= 500 at service:checkout',
          ok: true,
          text: 'one address in checkout: 0x401136 process_order at orders.c:88, about 1 us',
        },
        { step: 'all threads of service:checkout now', ok: true, text: 'takes all threads of 2 of them' },
      ],
      wouldFire: true,
      text: 'it would do this when its trigger fires',
    });
  });

  test.each<[string, (stage: Stage) => void, string[], string]>([
    [
      'an expression that does not compile',
      (stage) => {
        stage.explain = () =>
          Promise.reject(
            new StillframeError('bad-expression', 'unknown name "statsu"', {
              hint: 'did you mean "status"?',
            }),
          );
      },
      [
        '1 fit: checkout 100@web-1',
        'unknown name "statsu" (did you mean "status"?)',
        'takes all threads of 1 of them',
      ],
      'a step would fail',
    ],
    [
      'a capture that is not there',
      (stage) => {
        const absent = { reason: 'optimized-out', detail: 'it has no location here' } as const;
        const captures = [
          { expression: 'order->id', type: 'int', absent },
        ] as unknown as SiteExplanation['captures'];
        stage.explain = () => Promise.resolve(explained({ sites: [{ ...site, captures }] }));
      },
      [
        '1 fit: checkout 100@web-1',
        'one address in checkout: 0x401136 process_order at orders.c:88, about 1 us; order->id is not there: it has no location here',
        'takes all threads of 1 of them',
      ],
      'it would do this when its trigger fires',
    ],
    [
      'no process',
      (stage) => {
        stage.targets = () => Promise.resolve([]);
        stage.explain = () =>
          Promise.reject(new StillframeError('not-found', 'no process fits "service:checkout"'));
      },
      [
        'no process fits now: a point would wait for one',
        'no process fits "service:checkout"',
        'takes all threads of 0 of them',
      ],
      'a step would fail',
    ],
    [
      'no agent',
      (stage) => {
        stage.targets = () => Promise.reject(new StillframeError('unreachable', 'no agent is connected'));
      },
      ['no agent is connected'],
      'a step would fail',
    ],
  ])('%s', async (_, change, texts, text) => {
    const document = await tested(rules('{ manual: {} }'), change);
    expect(document.steps.map((step) => step.text)).toEqual(texts);
    expect(document.text).toBe(text);
    expect(document.wouldFire).toBe(text.startsWith('it would'));
  });

  test('a planner that hangs', async () => {
    await using stage = new Stage({ rules: rules('{ manual: {} }') });
    stage.explain = () => new Promise(() => undefined);
    await stage.start();
    const testing = stage.automation.testRule('r');
    await stage.clock.advance(31_000);
    expect((await testing).steps[1]).toMatchObject({
      ok: false,
      text: 'planning orders.c:88 took longer than 30s',
    });
  });

  test('labels of what Prometheus sees now fill the templates', async () => {
    let value = '9';
    await using server = await httpFake((_, response) => {
      const metric = { job: 'cart-eu' };
      response.end(
        JSON.stringify({
          status: 'success',
          data: { resultType: 'vector', result: [{ metric, value: [1, value] }] },
        }),
      );
    });
    const text = rules(
      `{ prometheus: { url: '${server.url}', query: up, above: 5, for: 1h } }`,
      ", allow: { job: ['cart-*'] }",
      'service:{{ labels.job }}',
    );
    const holding = await tested(text);
    expect(holding.trigger).toEqual({ ok: true, text: '9 {job="cart-eu"}, above 5' });
    expect(holding.steps[0]?.step).toBe('where service:cart-eu');
    expect(holding).toMatchObject({ wouldFire: true, text: 'it would fire now' });
    value = '3';
    expect(await tested(text)).toMatchObject({
      wouldFire: false,
      text: 'it would do this, and waits for its trigger',
    });
  });

  test('without any, those that allow spells out; else it cannot be told', async () => {
    const when = '{ alertmanager: { alert: A } }';
    const spelled = await tested(rules(when, ", allow: { job: ['c-*', cart] }", 'service:{{ labels.job }}'));
    expect(spelled.steps[0]?.step).toBe('where service:cart');
    const unknown = await tested(rules(when, ", allow: { job: ['c-*'] }", 'service:{{ labels.job }}'));
    expect(unknown.steps).toEqual([
      {
        step: 'where service:{{ labels.job }}',
        ok: false,
        text: 'cannot be told without a firing: there is no label "job"',
      },
    ]);
    expect(unknown.wouldFire).toBe(false);
  });

  test('a bound that holds', async () => {
    await using stage = new Stage({ rules: rules('{ manual: {} }') });
    stage.explain = () => Promise.resolve(explained());
    await stage.start();
    await stage.fire('r');
    expect((await stage.automation.testRule('r')).text).toBe(
      'incident i1 is open: it would be counted there',
    );
    await stage.clock.advance(15 * 60_000);
    await stage.fire('r');
    await stage.clock.advance(1000);
    expect(await stage.automation.testRule('r')).toMatchObject({ wouldFire: false });
    expect(await stage.automation.rules()).toMatchObject([{ firings: 2 }]);
  });

  test('a dry run and a disabled rule say so', async () => {
    expect(await tested(rules('{ manual: {} }', ', dry-run: true'))).toMatchObject({ wouldFire: false });
    expect(await tested(rules('{ manual: {} }', ', enabled: false'))).toMatchObject({
      wouldFire: false,
      text: 'the rule is disabled',
      trigger: { ok: false, text: 'the rule is disabled: its trigger does not run' },
    });
  });

  test('no such rule', async () => {
    await using stage = new Stage({ rules: rules('{ manual: {} }') });
    await stage.start();
    await expect(stage.automation.testRule('x')).rejects.toMatchObject({
      code: 'not-found',
      candidates: ['r'],
    });
  });
});
