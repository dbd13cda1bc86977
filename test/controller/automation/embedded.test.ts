/** Automation on the embedded store itself. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Automation } from '../../../controller/automation/automation.js';
import { parseAlertPayload } from '../../../controller/automation/alert-payload.js';
import { openStore } from '../../../controller/store/sqlite.js';
import { readTestNote } from '../store/snapshot-bytes.js';
import { alertBody } from './alert-payload.js';
import { FakeClock, settled } from './fake-clock.js';
import { FakeIncidents, FakePoints, FakeWatches, memoryLog, stackOf } from './fakes.js';
import { Stage } from './stage.js';

const rules = `rules:
  - { name: r, when: { alertmanager: { alert: CheckoutErrors } }, where: name:x, what: [{ snapshot: { at: f } }], limits: { stacks: 2 } }
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-embedded-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('what one controller decided the next one knows', async () => {
  await using files = new Stage({ rules });
  const clock = new FakeClock();
  const points = new FakePoints();
  const incidents = new FakeIncidents();
  const start = (store: ReturnType<typeof openStore>): Automation =>
    Automation.start({
      rulesPath: files.rulesPath,
      points,
      watches: new FakeWatches(),
      incidents,
      store: store.rules,
      snapshots: {
        listSnapshots: ({ point } = {}) => points.snapshots.filter((each) => each.point === point),
      },
      api: {
        targets: () => Promise.resolve([]),
        explain: () => Promise.reject(new Error('not asked')),
        now: () => Promise.reject(new Error('not asked')),
      },
      stackOf,
      log: memoryLog(),
      clock,
    });
  {
    using store = openStore({ folder, readNote: readTestNote });
    await using automation = start(store);
    automation.acceptAlerts(parseAlertPayload(alertBody()));
    await settled();
    points.hit('p1', 'a');
    await settled();
  }
  using store = openStore({ folder, readNote: readTestNote });
  await using automation = start(store);
  expect(automation.acceptAlerts(parseAlertPayload(alertBody()))).toMatchObject({ accepted: 0, repeated: 1 });
  await clock.advance(1000);
  points.hit('p1', 'b');
  await settled();
  expect(incidents.incidents.map(({ closed }) => closed)).toEqual([
    '2 different stacks came, as many as limits.stacks allows',
  ]);
  expect(await automation.rules()).toMatchObject([{ name: 'r', state: 'cooling-down', firings: 1 }]);
  expect(points.points.size).toBe(1);
});

test('a state that cannot be read holds its rule, until somebody says that it may go on', async () => {
  await using stage = new Stage({ rules });
  stage.store.states.set('r', '{"version": 2}');
  stage.store.states.set('gone', 'x');
  await stage.start();
  expect(await stage.rule()).toMatchObject({ state: 'suspended' });
  expect((await stage.rule()).why).toContain(
    'its budgets are not known, cannot read the state of a rule: version: Invalid input: expected 1',
  );
  stage.automation.acceptAlerts(parseAlertPayload(alertBody()));
  await settled();
  expect(stage.incidents.incidents).toEqual([]);
  expect(await stage.fire('r')).toMatchObject({ fired: true });
  expect(stage.log.lines.filter((line) => line.startsWith('error the state'))).toHaveLength(2);
});

test('an incident that no rule knows is closed, and its points removed', async () => {
  await using stage = new Stage({ rules });
  stage.incidents.open({ rule: 'lost', trigger: 'manual', text: '', labels: {}, facts: {} }, 0);
  await stage.points.set({
    kind: 'snapshot',
    target: 'name:x',
    location: 'f',
    captures: [],
    engine: '',
    bounds: {},
    maxHits: 1,
    everyProcess: false,
    minIntervalNs: 0n,
    expiresMs: 0,
    owner: 'rule:lost',
    note: '',
    incident: 'i1',
  });
  await stage.start();
  expect(stage.incidents.find('i1').closed).toBe('its rule does not know of it any more');
  expect(stage.points.live).toEqual([]);
});

test('what an agent says of itself is not trusted where a target is named', async () => {
  await using stage = new Stage({
    rules: `rules:
  - { name: r, when: { process: { target: 'name:x', threads: 5 } }, where: self, what: [{ now: {} }] }
  - { name: s, when: { log: { file: /x, match: x } }, where: 'name:x@{{ labels.host }}', allow: { host: ['*'] }, what: [{ now: {} }] }
`,
  });
  await stage.start();
  const host = 'web-1 name:everything';
  const process = { pid: 1, comm: 'x', unit: '', container: '', service: '' };
  const event = { host, timeMs: 0, target: process, value: 9 } as unknown;
  const [usage] = stage.watches.usages;
  usage?.listener.exceeded(event as Parameters<typeof usage.listener.exceeded>[0]);
  stage.watches.logs[0]?.listener.matched({ host, timeMs: 0, line: 'x', count: 1 });
  await settled();
  expect(stage.incidents.incidents).toEqual([]);
  expect((await stage.rule('r')).why).toContain('"self" is "1@web-1 name:everything", which is no PID@HOST');
  expect((await stage.rule('s')).why).toContain(
    'label "host" is "web-1 name:everything": only letters, digits and . _ : / @ - may stand in a target',
  );
});
