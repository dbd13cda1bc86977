import { describe, expect, test } from 'vitest';
import { checkTexts, renderRuleError } from '../../../controller/automation/rules-file.js';
import { errorsOf, rule } from './rule-text.js';

/** Takes the marks `§` out of a text, and gives where they stood. */
function unmark(marked: string): { readonly text: string; readonly places: readonly string[] } {
  const [first = '', ...others] = marked.split('§');
  let text = first;
  const places: string[] = [];
  for (const piece of others) {
    const lines = text.split('\n');
    places.push(`r.yaml:${lines.length}:${(lines.at(-1) ?? '').length + 1}`);
    text += piece;
  }
  return { text, places };
}

const prometheus = (more: string): string =>
  rule({
    when: `{ prometheus: ${more.startsWith('§{') ? more : `{ url: 'http://h:9090', query: up, ${more} }`} }`,
  });
const metric = (more: string): string =>
  rule({ when: `{ metric: { target: 'name:x', at: 'f.c:1', ${more} } }` });
const log = (more: string): string => rule({ when: `{ log: { ${more} } }` });
const snapshot = (more: string): string => rule({ what: `[{ snapshot: { ${more} } }]` });
const limits = (more: string): string => rule({ rest: `limits: { ${more} }` });
const when = (more: string): string => rule({ when: more });
const where = (more: string, rest = ''): string => rule({ where: more, rest });
const what = (more: string): string => rule({ what: more });
const rest = (more: string): string => rule({ rest: more });

const noDuration = 'is no duration: a number and a unit (ms, s, m, h or d), for example 30s';
const noTarget =
  'is no target: a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST';
const oneTrigger =
  'rules[0].when: needs exactly one of prometheus, alertmanager, metric, log, process and manual as its trigger';
const ruleKeys =
  'here may stand name, note, enabled, when, where, allow, what, stop-on-failure, limits, dry-run, notify';

describe('what is wrong, and where', () => {
  // An error for each mark, in their order.
  test.each<[string, string, string[]]>([
    // The file.
    ['an empty file', '§', ['the file is empty: it needs "rules"']],
    ['a comment alone', '§# nothing\n', ['the file is empty: it needs "rules"']],
    ['a list', '§- a\n', ['must hold "rules"']],
    ['another key', 'rules: []\n§rule: []\n', ['rule: there is no such key: a rules file has only "rules"']],
    [
      'no rules',
      '§§groups: []\n',
      ['groups: there is no such key: a rules file has only "rules"', 'the file needs "rules"'],
    ],
    ['rules that are no list', '§rules: { a: 1 }\n', ['rules: must be a list of rules']],
    ['rules without a value', '§rules:\n', ['rules: must be a list of rules']],
    ['a rule that is a number', 'rules:\n  - §5\n', ['rules[0]: must be keys with values, not a number']],
    ['a rule that is a list', 'rules:\n  - §[a]\n', ['rules[0]: must be keys with values, not a list']],
    ['a rule without a value', 'rules:\n  -§\n', ['rules[0]: has no value']],
    [
      'a rule without anything',
      'rules:\n  - §§§§{}\n',
      ['name', 'when', 'where', 'what'].map((key) => `rules[0].${key}: is missing`),
    ],
    // YAML.
    ['a tab', 'rules:\n§\t- name: x\n', ['tabs cannot indent: use spaces']],
    ['a key twice', 'rules: []\n§rules: []\n', ['this key stands here twice']],
    [
      'two documents',
      'rules: []\n§---\nrules: []\n',
      ['a rules file is one document: put all rules under one "rules"'],
    ],
    [
      'an open bracket',
      'rules: [\n§',
      ['flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['an open quote', "rules: 'x\n§", ["missing closing 'quote"]],
    ['a bad escape', 'rules: "§\\q"\n', ['invalid escape sequence \\q']],
    ['a reserved character', 'rules: §@x\n', ['plain value cannot start with reserved character @']],
    ['an unknown tag', 'rules: §!!js/function "x"\n', ['unresolved tag: tag:yaml.org,2002:js/function']],
    ['an unknown anchor', 'rules: §*x\n', ['rules: there is no anchor "x" above']],
    [
      'an anchor within itself',
      'rules: &x [§*x]\n',
      [`rules${'[0]'.repeat(24)}: more than 20000 values, or nested deeper than 24 levels`],
    ],
    [
      'a template without quotes',
      where('{§{ labels.job }}'),
      ['rules[0].where: a key must be a word; a value that begins with {{ must stand in quotes'],
    ],
    // A rule.
    [
      'an unknown key, nearly known',
      rest('§limit: {}'),
      ['rules[0].limit: there is no such key: did you mean "limits"?'],
    ],
    [
      'an unknown key where there is none',
      when('{ manual: { §x: 1 } }'),
      ['rules[0].when.manual.x: there is no such key: here may stand none'],
    ],
    [
      'two unknown keys',
      rest('§foo: 1\n    §bar: 2'),
      [`rules[0].foo: there is no such key: ${ruleKeys}`, `rules[0].bar: there is no such key: ${ruleKeys}`],
    ],
    [
      'a name that is a number',
      rule({ name: '§5' }),
      ['rules[0].name: must be text, not a number: put it in quotes'],
    ],
    [
      'a name with a space',
      rule({ name: '§a b' }),
      ['rules[0].name: must be a word of letters, digits and . _ -, which begins with a letter or a digit'],
    ],
    ['a long name', rule({ name: `§${'a'.repeat(64)}` }), ['rules[0].name: has more than 63 characters']],
    ['a control character', where('§"name:\\x07"'), ['rules[0].where: holds a control character']],
    ['yes', rest('enabled: §yes'), ['rules[0].enabled: must be true or false, not text']],
    [
      'a name of two rules',
      `${rule()}  - §§name: §checkout\n    when: §5\n`,
      [
        'rules[1].where: is missing',
        'rules[1].what: is missing',
        'rules[1].name: another rule is named "checkout": r.yaml:2',
        'rules[1].when: must be keys with values, not a number',
      ],
    ],
    // when
    ['no trigger', when('§{}'), [oneTrigger]],
    [
      'two triggers, one of them wrong',
      when("§{ manual: {}, process: §{ target: 'name:x' } }"),
      [oneTrigger, 'rules[0].when.process: needs exactly one of cpu, rss, threads and descriptors'],
    ],
    [
      'prometheus: neither bound',
      prometheus("§{ url: 'http://h', query: up }"),
      ['rules[0].when.prometheus: needs exactly one of above and below'],
    ],
    [
      'prometheus: both bounds',
      prometheus("§{ url: 'http://h', query: up, above: 1, below: 2 }"),
      ['rules[0].when.prometheus: needs exactly one of above and below'],
    ],
    [
      'prometheus: a bound that is text',
      prometheus("above: §'5'"),
      ['rules[0].when.prometheus.above: must be a number, not text'],
    ],
    [
      'prometheus: no number',
      prometheus('above: §.nan'),
      ['rules[0].when.prometheus.above: must be a number, not NaN'],
    ],
    [
      'prometheus: a duration without a unit',
      prometheus('above: 1, for: §30'),
      [`rules[0].when.prometheus.for: "30" ${noDuration}`],
    ],
    [
      'prometheus: a duration of an unknown unit',
      prometheus('above: 1, for: §3w'),
      [`rules[0].when.prometheus.for: "3w" ${noDuration}`],
    ],
    [
      'prometheus: a duration that is a list',
      prometheus('above: 1, for: §[3s]'),
      ['rules[0].when.prometheus.for: must be text, not a list'],
    ],
    [
      'prometheus: too often',
      prometheus('above: 1, every: §10ms'),
      ['rules[0].when.prometheus.every: must be from 1s to 1h, not 10ms'],
    ],
    [
      'prometheus: no URL, no query',
      when("{ prometheus: { url: §'h:9090', query: §'', above: 1 } }"),
      [
        'rules[0].when.prometheus.url: "h:9090" is no address of an HTTP server, such as http://127.0.0.1:9090',
        'rules[0].when.prometheus.query: is empty',
      ],
    ],
    [
      'prometheus: a password in the URL',
      when("{ prometheus: { url: §'http://u:p@h:9090', query: up, above: 1 } }"),
      [
        'rules[0].when.prometheus.url: "http://u:p@h:9090" holds a password: secrets stand in files, named by token-file',
      ],
    ],
    [
      'prometheus: a fragment',
      when("{ prometheus: { url: §'http://h/#x', query: up, above: 1 } }"),
      ['rules[0].when.prometheus.url: "http://h/#x" has a #fragment, which no server gets to see'],
    ],
    [
      'prometheus: a token in place of a file',
      prometheus('above: 1, §token: abc'),
      [
        'rules[0].when.prometheus.token: there is no such key: here may stand url, query, above, below, for, every, timeout, token-file',
      ],
    ],
    [
      'prometheus: a file that is no path',
      prometheus('above: 1, token-file: §abc'),
      ['rules[0].when.prometheus.token-file: must be an absolute path'],
    ],
    [
      'alertmanager: for every alert',
      when('{ alertmanager: §{} }'),
      [
        'rules[0].when.alertmanager: needs alert, or at least one of labels: else it would fire for every alert',
      ],
    ],
    [
      'alertmanager: labels that are a list',
      when('{ alertmanager: { labels: §[a] } }'),
      ['rules[0].when.alertmanager.labels: must be keys with values, not a list'],
    ],
    [
      'metric: a rate that is a number',
      metric('above: §3'),
      ['rules[0].when.metric.above: "3" is no rate: a number for each s, m or h, for example 3/s'],
    ],
    [
      'metric: no rate',
      when("{ metric: §{ target: 'name:x', at: f } }"),
      ['rules[0].when.metric.above: is missing'],
    ],
    [
      'metric: a condition that does not parse',
      metric("above: 3/s, if: 'status >=§'"),
      ['rules[0].when.metric.if: expected a value, found the end'],
    ],
    [
      'metric: a template',
      metric("above: 3/s, if: 'a == §{{ labels.x }}'"),
      ['rules[0].when.metric.if: no template may stand here'],
    ],
    [
      'log: a relative path',
      log('file: §x.log, match: x'),
      ['rules[0].when.log.file: must be an absolute path'],
    ],
    [
      'log: a pattern that is none',
      log("file: /x.log, match: §'a(b'"),
      ['rules[0].when.log.match: "a(b" is no regular expression of RE2\'s syntax: missing closing ): `a(b`'],
    ],
    [
      'log: a pattern of another syntax',
      log("file: /x.log, match: §'(?=x)'"),
      [
        'rules[0].when.log.match: "(?=x)" is no regular expression of RE2\'s syntax: invalid or unsupported Perl syntax: `(?=`',
      ],
    ],
    [
      'log: no lines',
      log('file: /x.log, match: x, count: §0'),
      ['rules[0].when.log.count: must be a whole number from 1 to 1000000'],
    ],
    [
      'log: a host that is none',
      log("file: /x.log, match: x, host: §'a b'"),
      ['rules[0].when.log.host: is no name of a host'],
    ],
    [
      'process: a percentage that is a number',
      when("{ process: { target: 'name:x', cpu: §150 } }"),
      ['rules[0].when.process.cpu: "150" is no percentage: a number and %, for example 150%'],
    ],
    [
      'process: a size that is none',
      when("{ process: { target: 'name:x', rss: §2X } }"),
      [
        'rules[0].when.process.rss: "2X" is no size: a number of bytes, or one with k, M, G or T, for example 64k',
      ],
    ],
    [
      'process: half a thread',
      when("{ process: { target: 'name:x', threads: §1.5 } }"),
      ['rules[0].when.process.threads: must be a whole number from 1 to 10000000'],
    ],
    [
      'process: two resources',
      when("{ process: §{ target: 'name:x', cpu: 1%, rss: 1G } }"),
      ['rules[0].when.process: needs exactly one of cpu, rss, threads and descriptors'],
    ],
    // where
    ['a target of no kind', where('§checkout'), [`rules[0].where: "checkout" ${noTarget}`]],
    ['a target with nothing behind its kind', where("§'name:'"), [`rules[0].where: "name:" ${noTarget}`]],
    [
      'self, of no process',
      where('§self'),
      ['rules[0].where: "self" is the process that a process trigger saw; this rule\'s trigger is manual'],
    ],
    [
      'a template that is none',
      where("'name:§{{ label.job }}'"),
      ['rules[0].where: a template is {{ labels.NAME }} or {{ annotations.NAME }}'],
    ],
    [
      'a template with a filter',
      where("'name:x@§{{ labels.job | trim }}'"),
      ['rules[0].where: a template is {{ labels.NAME }} or {{ annotations.NAME }}'],
    ],
    [
      'a label that allow does not have',
      where("§'name:{{ labels.job }}'"),
      ['rules[0].where: "job" needs an entry in allow, which says what may be filled in'],
    ],
    [
      'annotations that nobody brings',
      where("§'name:{{ annotations.job }}'"),
      ['rules[0].where: a manual trigger brings no annotations, only alertmanager does'],
    ],
    [
      'a label that a trigger does not bring',
      rule({
        when: '{ log: { file: /x, match: x } }',
        where: "§'name:x@{{ labels.hosts }}'",
        rest: "allow: { hosts: ['*'] }",
      }),
      ['rules[0].where: a log trigger brings only the labels host: did you mean "host"?'],
    ],
    [
      'a label of a trigger without labels',
      rule({
        when: "{ metric: { target: 'name:x', at: f, above: 3/s } }",
        where: "§'name:{{ labels.job }}'",
        rest: "allow: { job: ['*'] }",
      }),
      ['rules[0].where: a metric trigger brings no labels'],
    ],
    // allow
    [
      'an entry that nothing uses',
      rest("allow: { §job: ['*'] }"),
      ['rules[0].allow.job: no template uses it'],
    ],
    [
      'an entry that nothing uses, nearly used',
      where("§'name:{{ labels.job }}'", 'allow: { §jop: [x] }'),
      [
        'rules[0].where: "job" needs an entry in allow, which says what may be filled in',
        'rules[0].allow.jop: no template uses it: did you mean "job"?',
      ],
    ],
    [
      'an entry without values',
      where("'name:{{ labels.job }}'", 'allow: { job: §[] }'),
      ['rules[0].allow.job: is empty'],
    ],
    [
      'an entry that is text',
      where("'name:{{ labels.job }}'", 'allow: { job: §x }'),
      ['rules[0].allow.job: must be a list, not text'],
    ],
    [
      'an entry that is no name',
      rest("allow: { §'a-b': [x] }"),
      ['rules[0].allow.a-b: must be the name of a label, or annotations.NAME'],
    ],
    [
      'a pattern for an expression',
      rule({ what: "[{ snapshot: { at: §'{{ labels.at }}' } }]", rest: "allow: { at: ['orders.c:*'] }" }),
      ['rules[0].what[0].snapshot.at: in a location or an expression "at" needs entries in allow without *'],
    ],
    // what
    ['no steps', what('§[]'), ['rules[0].what: is empty']],
    ['steps that are no list', what('§{ now: {} }'), ['rules[0].what: must be a list, not keys with values']],
    [
      'a step of two kinds',
      what("[§{ now: {}, snapshot: { at: 'f' } }]"),
      ['rules[0].what[0]: needs exactly one of snapshot and now'],
    ],
    [
      'a step of an unknown kind',
      what('[§{ §snapshots: {} }]'),
      [
        'rules[0].what[0]: needs exactly one of snapshot and now',
        'rules[0].what[0].snapshots: there is no such key: did you mean "snapshot"?',
      ],
    ],
    ['no location', what('[{ snapshot: §{} }]'), ['rules[0].what[0].snapshot.at: is missing']],
    ['an empty location', snapshot("at: §''"), ['rules[0].what[0].snapshot.at: is empty']],
    [
      'a location of no line',
      snapshot("at: §'f.c:0'"),
      ['rules[0].what[0].snapshot.at: cannot resolve location "f.c:0": there is no line 0'],
    ],
    [
      'a condition that does not parse',
      snapshot("at: 'f', if: 'a ==§== 3'"),
      ['rules[0].what[0].snapshot.if: expected a value, found "=="'],
    ],
    [
      'a condition in double quotes that does not parse',
      snapshot(`at: 'f', if: "a ==§== 3"`),
      ['rules[0].what[0].snapshot.if: expected a value, found "=="'],
    ],
    [
      'a condition with escapes that does not parse',
      snapshot(`at: 'f', if: §"a \\x3d= == 3"`),
      ['rules[0].what[0].snapshot.if: expected a value, found "=="'],
    ],
    [
      'a capture that does not parse',
      snapshot("at: 'f', capture: [a, '(b§']"),
      ['rules[0].what[0].snapshot.capture[1]: expected ")" after the expression, found the end'],
    ],
    [
      'a single capture that does not parse',
      snapshot("at: 'f', capture: 'a §b'"),
      ['rules[0].what[0].snapshot.capture[0]: expected an operator, found "b"'],
    ],
    [
      'an unknown engine',
      snapshot("at: 'f', engine: §uprob"),
      [
        'rules[0].what[0].snapshot.engine: must be one of uprobe, observe, ptrace, fork, mem, watch: did you mean "uprobe"?',
      ],
    ],
    [
      'too many hits',
      snapshot("at: 'f', hits: §1001"),
      ['rules[0].what[0].snapshot.hits: must be a whole number from 1 to 1000'],
    ],
    [
      'more hits than the rule allows',
      snapshot("at: 'f', hits: §20"),
      ['rules[0].what[0].snapshot.hits: 20 hits are more than the 10 that limits.hits allows the incident'],
    ],
    [
      'too many bytes',
      snapshot("at: 'f', bytes: §1G"),
      ['rules[0].what[0].snapshot.bytes: must be from 1 to 512k, not 1G'],
    ],
    // limits
    [
      'a cooldown that is too long',
      limits('cooldown: §31d'),
      ['rules[0].limits.cooldown: must be from 1s to 30d, not 31d'],
    ],
    [
      'a budget of nothing',
      limits('per-day: §0'),
      ['rules[0].limits.per-day: must be a whole number from 1 to 1000'],
    ],
    [
      'an expiry that is no duration',
      limits('expire: §never'),
      [`rules[0].limits.expire: "never" ${noDuration}`],
    ],
    // notify
    ['nobody to notify', rest('notify: [§{}]'), ['rules[0].notify[0].url: is missing']],
    [
      'a secret in the file',
      rest("notify: [{ url: 'https://h/', §secret: x }]"),
      [
        'rules[0].notify[0].secret: there is no such key: here may stand url, token-file, secret-file, include-values',
      ],
    ],
  ])('%s', (_, marked, messages) => {
    const { text, places } = unmark(marked);
    expect(errorsOf(text)).toEqual(messages.map((message, i) => `${places[i] ?? 'unmarked'}: ${message}`));
  });

  test('all errors of a file are told, and none of its rules is taken', () => {
    const text = `${rest('enabled: 1')}  - name: other\n    when: { manual: {} }\n    where: name:y\n    what: [now: {}]\n  - name: third\n`;
    const check = checkTexts([{ file: 'r.yaml', text }]);
    expect(check.errors.map(renderRuleError)).toEqual([
      'r.yaml:6:14: rules[0].enabled: must be true or false, not a number',
      'r.yaml:11:5: rules[2].when: is missing',
      'r.yaml:11:5: rules[2].where: is missing',
      'r.yaml:11:5: rules[2].what: is missing',
    ]);
    expect(check.rules).toEqual([]);
  });

  test('expressions that only types make sense of are not refused', () => {
    for (const text of [
      '((order *)p)->total > 3',
      '(u32)x == 1 && (n) > 3',
      'p as *order',
      'a::b::c && $tid == 3',
      'name == "abc"',
      '(const char *)p',
    ]) {
      expect(errorsOf(snapshot(`at: 'f', if: '${text}'`))).toEqual([]);
    }
  });
});
