/** Targets of text that people, rules and webhooks send. */
import { parseAlertPayload } from '../../controller/automation/alert-payload.js';
import { checkTexts } from '../../controller/automation/rules-file.js';
import { isFault, parseTemplate } from '../../controller/automation/template.js';
import { parseExpression } from '../../controller/expression/parser.js';
import { parseLocation } from '../../controller/planner/location.js';
import { decodeInstruction } from '../../format/x86-64/instruction.js';
import { parseEndpoint } from '../../format/endpoint.js';
import { parseSelector } from '../../format/target-selector.js';
import type { FuzzTarget } from './fuzz-target.js';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function textTarget(
  name: string,
  seeds: readonly string[],
  run: (text: string) => unknown,
  codes?: FuzzTarget['codes'],
): FuzzTarget {
  return {
    name,
    seeds: () => seeds.map((seed) => encoder.encode(seed)),
    run: (bytes) => run(decoder.decode(bytes)),
    ...(codes === undefined ? {} : { codes }),
  };
}

const rules = `rules:
  - name: slow-checkout
    when:
      alertmanager: { alertname: SlowCheckout, severity: page }
    point:
      target: name:checkout
      location: checkout.c:42
      if: order->total > 100 && name == "abc"
      capture: [order->id, 'items @ 3']
    limits: { hits: 3, per: 1h }
`;

const payload = JSON.stringify({
  version: '4',
  receiver: 'stillframe',
  status: 'firing',
  groupKey: '{}:{}',
  groupLabels: {},
  commonLabels: {},
  commonAnnotations: {},
  externalURL: 'http://here',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'SlowCheckout' },
      annotations: { capture: 'order' },
      startsAt: '2026-01-01T00:00:00Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://there',
      fingerprint: 'abc',
    },
  ],
});

/** What the HTTP server does with a body: what is no JSON never comes to the parser. */
function alertBody(text: string): unknown {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  return parseAlertPayload(body);
}

export const textTargets: readonly FuzzTarget[] = [
  textTarget(
    'expression',
    [
      'c->argv[1]->ptr == 0x10 && name.matches("a.*b")',
      '(struct node *)p as *T ? sizeof(int[3]) : -~!x',
      "'file.c'::var[0:10] @ 3 + len(x) - $rip",
      'ns::Class::method.size() % 1.5e3f >> \'a\' | "\\x41\\n"[0]',
    ],
    (text) => parseExpression(text, { isType: (name) => name.length % 2 === 0 }),
    ['bad-expression', 'limit'],
  ),
  textTarget('location', ['file.c:42', 'ns::Class::method', '*0x401136', 'function'], parseLocation, [
    'usage',
    'bad-expression',
    'limit',
    'unsupported',
  ]),
  textTarget('selector', ['1234', 'name:redis@host', 'container:abc', 'unit:a.service'], parseSelector, [
    'usage',
  ]),
  textTarget('endpoint', ['unix:/run/a', 'localhost:80', '[::1]:443'], parseEndpoint, ['usage']),
  textTarget('template', ['{{ labels.name }} and {{labels["a b"]}} }}', 'plain'], (text) => {
    const parsed = parseTemplate(text);
    return isFault(parsed) ? undefined : parsed.length;
  }),
  textTarget('rules', [rules], (text) => checkTexts([{ file: 'rules.yaml', text }])),
  textTarget('alerts', [payload], alertBody),
  {
    name: 'instruction',
    seeds: () => [
      Uint8Array.of(0x48, 0x8b, 0x44, 0x24, 8),
      Uint8Array.of(0xc4, 0xe2, 0x79, 0x18, 5, 1, 2, 3, 4),
    ],
    run: decodeInstruction,
  },
];
