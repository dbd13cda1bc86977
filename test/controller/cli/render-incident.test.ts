import { expect, test } from 'vitest';
import type { IncidentDocument } from '../../../controller/automation/incident.js';
import { renderIncident, renderIncidents } from '../../../controller/cli/render-incident.js';

const incident: IncidentDocument = {
  id: '0000000000i1',
  rule: 'error-rate',
  trigger: 'prometheus',
  state: 'closed',
  started: '2025-06-01T12:00:00.000Z',
  closed: '2025-06-01T12:03:05.500Z',
  cause: 'errors 12.4/s above 5 for 30 s',
  labels: { job: 'shop', instance: 'web-1\u001B[2J' },
  snapshots: 4,
  stacks: 2,
  timeline: [
    {
      time: '2025-06-01T12:00:00.000Z',
      kind: 'fired',
      text: 'errors 12.4/s above 5',
      facts: { value: 12.4, above: 5, series: 3, hash: 'a'.repeat(32) },
    },
    { time: '2025-06-01T12:00:00.041Z', kind: 'armed', text: 'point 0000000000p1 on web-1' },
    { time: '2025-06-01T12:03:05.500Z', kind: 'bound', text: '2 different stacks: enough' },
  ],
  points: [
    {
      id: '0000000000p1',
      target: 'service:shop',
      location: 'orders.c:70',
      condition: 'rc < 0',
      state: 'ended',
      why: 'the rule has enough stacks',
      hits: 4,
    },
  ],
  groups: [
    {
      stack: ['total orders.c:70', 'main main.c:12'],
      snapshots: ['s1', 's2', 's3'],
      same: [{ name: 'currency', text: '"EUR"' }],
      different: [
        { name: 'order->total', texts: ['12', '45', '<not captured>'] },
        { name: 'i', texts: ['<optimized out>', '<optimized out>', '<optimized out>'] },
      ],
      note: 'only the first 3 were compared',
    },
    { stack: ['total orders.c:70'], snapshots: ['s4'], same: [{ name: 'x', text: '1' }], different: [] },
  ],
};

test('an incident: what fired, what followed, the stacks and what differs', () => {
  expect(renderIncident(incident)).toBe(
    `incident 0000000000i1  rule error-rate  closed +3m05s
2025-06-01T12:00:00.000Z  prometheus: errors 12.4/s above 5 for 30 s
job=shop instance=web-1\\x1b[2J

timeline
   +0.000 s  fired  errors 12.4/s above 5  series=3
   +0.041 s  armed  point 0000000000p1 on web-1
     +3m05s  bound  2 different stacks: enough

points
  0000000000p1  ended  orders.c:70 in service:shop if rc < 0
    4 hits: the rule has enough stacks

stacks  4 snapshots, 2 different stacks
#1  3 snapshots  s1 s2 s3
     total orders.c:70
     main main.c:12
   differs
     order->total = 12 | 45 | <not captured>
     i            = <optimized out> each time
   the same
     currency     = "EUR"
   only the first 3 were compared
#2  1 snapshot  s4
     total orders.c:70
   the same
     x = 1`,
  );
});

test('one that brought in nothing says so', () => {
  const text = renderIncident({ ...incident, points: [], groups: [] });
  expect(text).not.toContain('points');
  expect(text.endsWith('stacks  no snapshots')).toBe(true);
});

test('a list of them', () => {
  expect(renderIncidents([])).toBe('no incidents');
  expect(renderIncidents([{ ...incident, cause: 'x'.repeat(200) }])).toBe(
    `ID            STARTED               RULE        STATE   SNAPSHOTS  STACKS  CAUSE
0000000000i1  2025-06-01T12:00:00Z  error-rate  closed  4          2       ${'x'.repeat(79)}…`,
  );
});
