import { describe, expect, test } from 'vitest';
import type { Firing } from '../../../controller/automation/firing.js';
import {
  adoptRule,
  boundOf,
  changeIncident,
  changeStep,
  closeIncident,
  countSnapshot,
  decide,
  endingOf,
  resolveAlert,
  type PointStanding,
} from '../../../controller/automation/rule-engine.js';
import { planSteps } from '../../../controller/automation/rule-plan.js';
import {
  decodeState,
  encodeState,
  initialState,
  type OpenIncident,
  type RuleState,
} from '../../../controller/automation/rule-state.js';
import type { Rule } from '../../../controller/automation/rule.js';
import { checkTexts } from '../../../controller/automation/rules-file.js';
import { thrown } from '../../support/thrown.js';

const now = Date.UTC(2026, 0, 5, 12);
const minute = 60_000;
const hour = 60 * minute;

function rule(rest = '', where = 'name:x', allow = ''): Rule {
  const text = `rules: [{ name: r, when: { alertmanager: { alert: A } }, where: '${where}', ${allow}
    what: [{ snapshot: { at: 'f.c:1', if: 'a > 1' } }, { now: {} }],
    limits: { cooldown: 10m, per-day: 3, hits: 4, stacks: 2, expire: 15m, suspend-after: 2 }, ${rest} }]`;
  const { rules, errors } = checkTexts([{ file: 'r.yaml', text }]);
  expect(errors).toEqual([]);
  const [first] = rules;
  if (first === undefined) throw new Error('no rule');
  return first;
}
const plain = rule();

const firing: Firing = { trigger: 'alertmanager', text: 'alert A', labels: {}, annotations: {}, facts: {} };
const alert = (key: string): Firing => ({ ...firing, alert: { key, number: 1 } });

function offer(state: RuleState, { of = plain, at = now, what = firing } = {}) {
  return decide(state, of, { firing: what, plan: planSteps(of, what), nowMs: at });
}
const fired = (state = initialState, at = now): RuleState => offer(state, { at }).state;
/** Fired, and its incident is over, with or without something to show for it. */
function closed(state: RuleState, well = true): RuleState {
  const change = { closing: 'over', armed: well };
  return closeIncident(changeIncident(state, () => change)).state;
}
function incidentOf(state: RuleState): OpenIncident {
  if (state.incident === null) throw new Error('no incident');
  return state.incident;
}

describe('the bounds, in order', () => {
  const open = fired();
  const cooling = closed(fired());
  const spent = [0, 11, 22].reduce((state, at) => closed(fired(state, now + at * minute)), initialState);
  const suspended = [0, 11].reduce(
    (state, at) => closed(fired(state, now + at * minute), false),
    initialState,
  );
  const templated = rule('', 'name:{{ labels.job }}', "allow: { job: ['a*'] },");
  const jobs = (job: string): Firing => ({ ...firing, labels: { job } });

  test.each<[string, RuleState, Parameters<typeof offer>[1], string]>([
    ['at first', initialState, {}, 'fire'],
    ['disabled', initialState, { of: rule('enabled: false') }, 'disabled: the rule is disabled'],
    [
      'disabled, and an incident is open',
      open,
      { of: rule('enabled: false') },
      'disabled: the rule is disabled',
    ],
    [
      'suspended',
      suspended,
      { at: now + hour },
      'suspended: suspended after 2 firings of which nothing came, the last one: over; it goes on when the rule is changed, or when `stillframe rules fire` works',
    ],
    [
      'suspended, and fired by hand',
      suspended,
      { at: now + hour, what: { ...firing, trigger: 'manual' } },
      'fire',
    ],
    ['an incident is open', open, {}, 'repeat'],
    ['an incident is open, and the cooldown over', open, { at: now + 11 * minute }, 'repeat'],
    [
      'an incident is open, and the label is not allowed',
      fired(),
      { of: templated, what: jobs('x') },
      'repeat',
    ],
    ['a label that is allowed', initialState, { of: templated, what: jobs('ab') }, 'fire'],
    [
      'a label that is not',
      initialState,
      { of: templated, what: jobs('x') },
      'allow: label "job" is "x", which allow does not have',
    ],
    ['no label', initialState, { of: templated }, 'allow: there is no label "job"'],
    [
      'a dry run',
      initialState,
      { of: rule('dry-run: true') },
      'dry-run: dry run: it would take snapshot f.c:1 if a > 1 at name:x; then all threads of name:x now',
    ],
    [
      'the cooldown',
      cooling,
      { at: now + minute },
      'cooldown: cools down for another 9m, until 2026-01-05T12:10:00.000Z',
    ],
    [
      'one millisecond before it is over',
      cooling,
      { at: now + 10 * minute - 1 },
      'cooldown: cools down for another 1s, until 2026-01-05T12:10:00.000Z',
    ],
    ['the cooldown is over', cooling, { at: now + 10 * minute }, 'fire'],
    [
      'the budget of the day',
      spent,
      { at: now + hour },
      'per-day: 3 of 3 firings of 24 h are used up, until 2026-01-06T12:00:00.000Z',
    ],
    [
      'one millisecond before a firing is a day old',
      spent,
      { at: now + 24 * hour - 1 },
      'per-day: 3 of 3 firings of 24 h are used up, until 2026-01-06T12:00:00.000Z',
    ],
    ['a firing is a day old', spent, { at: now + 24 * hour }, 'fire'],
  ])('%s', (_, state, options, expected) => {
    const decision = offer(state, options);
    expect(decision.kind === 'refuse' ? `${decision.bound}: ${decision.why}` : decision.kind).toBe(expected);
  });

  test('a refusal is counted by its bound, and what is offered again is not', () => {
    const once = offer(cooling, { at: now + minute }).state;
    expect(once.counts.refused).toEqual({ cooldown: 1 });
    const twice = offer(once, { at: now + 2 * minute, what: { ...firing, again: true } }).state;
    expect(twice.counts.refused).toEqual({ cooldown: 1 });
    expect(offer(twice, { at: now + 3 * minute }).state.counts.refused).toEqual({ cooldown: 2 });
  });

  test('a firing charges cooldown and budget, whatever comes of it', () => {
    const state = fired();
    expect(state).toMatchObject({
      firedMs: [now],
      cooldownUntilMs: now + 10 * minute,
      lastFiredMs: now,
      counts: { firings: 1 },
    });
    expect(closed(state, false)).toMatchObject({ firedMs: [now], cooldownUntilMs: now + 10 * minute });
  });

  test('a rule that was changed keeps its budgets and loses its failures', () => {
    const other = rule('note: other');
    const adopted = adoptRule(suspended, other);
    expect(adopted).toMatchObject({ suspension: null, failedInRow: 0, firedMs: suspended.firedMs });
    expect(adoptRule(suspended, plain)).toBe(suspended);
    expect(offer(adopted, { of: other, at: now + hour }).kind).toBe('fire');
  });

  test('a dry run charges nothing, and tells once in a cooldown', () => {
    const dry = rule('dry-run: true');
    const first = offer(initialState, { of: dry }).state;
    expect(first).toMatchObject({ firedMs: [], cooldownUntilMs: 0, dryUntilMs: now + 10 * minute });
    const second = offer(first, { of: dry, at: now + minute }).state;
    expect(second.dryUntilMs).toBe(first.dryUntilMs);
    expect(offer(second, { of: dry, at: now + 10 * minute }).state.dryUntilMs).toBe(now + 20 * minute);
    expect(offer(second, { at: now + minute }).kind).toBe('fire');
  });

  test('a clock that was put back holds a rule for one cooldown, not for as long as it was wrong', () => {
    const ahead = closed(fired(initialState, now + 1000 * 24 * hour));
    const refused = offer(ahead);
    expect(refused).toMatchObject({ kind: 'refuse', bound: 'cooldown' });
    expect(offer(refused.state, { at: now + 10 * minute }).kind).toBe('fire');
    // What was fired then still counts.
    expect(offer(refused.state, { at: now + 10 * minute }).state.firedMs).toHaveLength(2);
  });

  test('what holds is told without being asked to fire', () => {
    expect(boundOf(initialState, plain, now)).toBeUndefined();
    expect(boundOf(cooling, plain, now + minute)?.bound).toBe('cooldown');
    expect(boundOf(spent, plain, now + 23 * minute)?.bound).toBe('per-day');
  });
});

describe('snapshots', () => {
  test('hits and different stacks are counted, each snapshot once', () => {
    let state = fired();
    for (const [id, stack] of [
      ['a', 'x'],
      ['b', 'x'],
      ['a', 'x'],
      ['c', ''],
      ['d', 'y'],
    ] as const) {
      ({ state } = countSnapshot(state, id, stack));
    }
    expect(incidentOf(state)).toMatchObject({ counted: ['a', 'b', 'c', 'd'], seenStacks: ['x', 'y'] });
    expect(countSnapshot(fired(), 'a', 'x')).toMatchObject({ isNew: true, isNewStack: true });
    expect(countSnapshot(state, 'e', 'y')).toMatchObject({ isNew: true, isNewStack: false });
    expect(countSnapshot(state, 'd', 'z')).toMatchObject({ isNew: false, isNewStack: false });
    expect(countSnapshot(initialState, 'a', 'x')).toMatchObject({ isNew: false, isNewStack: false });
  });
});

describe('the end of an incident', () => {
  const pending: PointStanding = { ended: false, why: 'no process fits yet', delivered: 0 };
  const over = (delivered = 0): PointStanding => ({ ended: true, why: 'its hits are used up', delivered });
  const stepped = (...states: ('waiting' | 'started' | 'done' | 'failed')[]): RuleState =>
    states.reduce((state, each, i) => changeStep(state, i, { state: each, text: `step ${i + 1}` }), fired());
  const with_ = (state: RuleState, ...snapshots: [string, string][]): RuleState =>
    snapshots.reduce((before, [id, stack]) => countSnapshot(before, id, stack).state, state);

  test.each<[string, RuleState, PointStanding[], number, string | undefined]>([
    ['goes on while steps wait', stepped('done', 'waiting'), [over()], 0, undefined],
    ['goes on while a step runs', stepped('done', 'started'), [over()], 0, undefined],
    ['goes on while a point waits', stepped('done', 'done'), [pending], 0, undefined],
    ['goes on while a snapshot is on its way', stepped('done', 'done'), [over(1)], 0, undefined],
    [
      'hits',
      with_(stepped('done', 'done'), ['a', 'x'], ['b', 'x'], ['c', 'x'], ['d', 'x']),
      [pending],
      0,
      'hits: 4 snapshots came, as many as limits.hits allows',
    ],
    [
      'different stacks',
      with_(stepped('done', 'done'), ['a', 'x'], ['b', 'y']),
      [pending],
      0,
      'stacks: 2 different stacks came, as many as limits.stacks allows',
    ],
    [
      'stacks while steps wait',
      with_(stepped('done', 'waiting'), ['a', 'x'], ['b', 'y']),
      [pending],
      0,
      'stacks: 2 different stacks came, as many as limits.stacks allows',
    ],
    [
      'expiry',
      stepped('done', 'done'),
      [pending],
      15 * minute,
      'expire: it expired: no snapshot came; no process fits yet',
    ],
    [
      'expiry with snapshots',
      with_(stepped('done', 'done'), ['a', 'x'], ['b', 'x']),
      [{ ...pending, why: '' }],
      15 * minute,
      'expire: it expired: 2 snapshots came, one stack',
    ],
    [
      'expiry while a step hangs',
      stepped('done', 'started'),
      [pending],
      15 * minute,
      'expire: it expired: no snapshot came; no process fits yet',
    ],
    ['one millisecond before it expires', stepped('done', 'done'), [pending], 15 * minute - 1, undefined],
    ['all steps failed', stepped('failed', 'failed'), [], 0, 'every step failed: step 1'],
    ['one step failed', stepped('failed', 'done'), [], 0, 'its steps are done'],
    [
      'its points ended',
      with_(stepped('done', 'done'), ['a', 'x']),
      [over(1)],
      0,
      'its points ended: its hits are used up',
    ],
    ['one of its points ended', stepped('done', 'done'), [over(), pending], 0, undefined],
  ])('%s', (_, state, points, afterMs, expected) => {
    const ending = endingOf(incidentOf(state), points, now + afterMs);
    const text = ending?.bound === undefined ? ending?.why : `${ending.bound}: ${ending.why}`;
    expect(text).toBe(expected);
  });

  test('an alert that is resolved ends it when a snapshot came, and else it waits on', () => {
    const open = changeIncident(stepped('done', 'done'), () => ({ alerts: ['k'] }));
    expect(resolveAlert(open, 'other').known).toBe(false);
    const { state, known } = resolveAlert(open, 'k');
    expect(known).toBe(true);
    expect(endingOf(incidentOf(state), [pending], now)).toBeUndefined();
    const came = with_(state, ['a', 'x']);
    expect(endingOf(incidentOf(came), [pending], now)?.why).toBe(
      'the alert is resolved: one snapshot came, one stack',
    );
  });

  test('all its alerts must be resolved', () => {
    let state = decide(initialState, plain, {
      firing: alert('a'),
      plan: planSteps(plain, firing),
      nowMs: now,
    }).state;
    state = offer(state, { what: alert('b') }).state;
    state = offer(state, { what: alert('b') }).state;
    expect(incidentOf(state)).toMatchObject({ alerts: ['a', 'b'], repeated: 2 });
    state = resolveAlert(state, 'a').state;
    expect(incidentOf(state).resolved).toBe(false);
    state = resolveAlert(state, 'b').state;
    expect(incidentOf(state).resolved).toBe(true);
    // Firing again: it is not over.
    expect(incidentOf(offer(state, { what: alert('c') }).state).resolved).toBe(false);
  });

  test('more alerts than are followed: it does not end by their resolution', () => {
    let state = fired();
    for (let i = 0; i < 300; i++) state = offer(state, { what: alert(`k${i}`) }).state;
    expect(incidentOf(state).alerts.length).toBe(101);
    for (let i = 0; i < 300; i++) state = resolveAlert(state, `k${i}`).state;
    expect(incidentOf(state).resolved).toBe(false);
  });
});

describe('failures', () => {
  test('so many in a row suspend the rule; one that works begins the count anew', () => {
    const fail = (state: RuleState, at: number): RuleState => closed(fired(state, now + at), false);
    const one = fail(initialState, 0);
    expect(one).toMatchObject({
      failedInRow: 1,
      lastFailure: 'over',
      suspension: null,
      counts: { failures: 1 },
    });
    const well = closed(fired(one, now + hour));
    expect(well).toMatchObject({ failedInRow: 0, lastFailure: '', counts: { failures: 1 } });
    const two = fail(fail(well, 30 * hour), 31 * hour);
    expect(two.suspension?.digest).toBe(plain.digest);
    const byHand = offer(two, { at: now + 60 * hour, what: { ...firing, trigger: 'manual' } }).state;
    expect(closed(byHand).suspension).toBeNull();
    expect(closed(byHand, false).suspension).not.toBeNull();
  });

  test.each<[string, Partial<OpenIncident>, boolean]>([
    ['nothing was ever armed', {}, true],
    ['a point was armed and not hit', { armed: true }, false],
    ['a snapshot came', { counted: ['a'] }, false],
    ['threads were taken', { taken: 1 }, false],
  ])('%s', (_, change, failed) => {
    expect(closeIncident(changeIncident(fired(), () => change)).failed).toBe(failed);
  });
});

describe('the state on disk', () => {
  test('comes back as it was', () => {
    let state = offer(initialState, {
      what: { ...alert('k'), labels: { job: 'x' }, facts: { value: 1.5, ok: true } },
    }).state;
    state = countSnapshot(changeStep(state, 0, { state: 'done', point: 'p' }), 'a', 'x').state;
    state = offer(state, { of: rule('enabled: false') }).state;
    for (const each of [initialState, state, closed(state, false)]) {
      expect(decodeState(encodeState(each))).toEqual(each);
    }
  });

  test.each([
    ['{', 'bad-data: cannot read the state of a rule: it is no JSON'],
    ['{}', 'bad-data: cannot read the state of a rule: version: Invalid input: expected 1'],
    [
      JSON.stringify({ version: 1, ...initialState, firedMs: ['x'] }),
      'bad-data: cannot read the state of a rule: firedMs.0: Invalid input: expected number, received string',
    ],
    [
      JSON.stringify({ version: 1, ...initialState, more: 1 }),
      'bad-data: cannot read the state of a rule: : Unrecognized key: "more"',
    ],
  ])('%s is none', (json, message) => {
    expect(thrown(() => decodeState(json))).toBe(message);
  });
});
