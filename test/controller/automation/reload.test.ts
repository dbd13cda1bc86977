import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RuleSet } from '../../../controller/automation/rule-set.js';
import { checkTexts, type RuleCheck } from '../../../controller/automation/rules-file.js';
import { watchRules } from '../../../controller/automation/rules-watch.js';
import { FakeClock, settled } from './fake-clock.js';
import { Stage } from './stage.js';

const log = (name: string, match = 'ERROR', rest = ''): string =>
  `  - { name: ${name}, when: { log: { file: /x.log, match: ${match} } }, where: name:x, what: [{ snapshot: { at: f } }], limits: { cooldown: 1m, expire: 2m }${rest} }\n`;
const metric = (name: string, at = 'f.c:1', rest = ''): string =>
  `  - { name: ${name}, when: { metric: { target: name:x, at: '${at}', above: 3/s } }, where: name:x, what: [{ snapshot: { at: f } }]${rest} }\n`;
const file = (...rules: string[]): string => `rules:\n${rules.join('')}`;

describe('a file that changes', () => {
  test('rules come, change and go; those that did not change keep their watches and their state', async () => {
    await using stage = new Stage({ rules: file(log('a'), log('b')) });
    await stage.start();
    const [first] = stage.watches.logs;
    await stage.fire('a');
    stage.write(file(log('a'), log('c'), log('b', 'WARN')));
    await stage.clock.advance(3000);
    expect((await stage.automation.rules()).map(({ name }) => name)).toEqual(['a', 'c', 'b']);
    expect(stage.watches.logs.map(({ watch }) => watch.pattern).toSorted()).toEqual([
      'ERROR',
      'ERROR',
      'WARN',
    ]);
    expect(stage.watches.logs[0]).toBe(first);
    expect(await stage.rule('a')).toMatchObject({ firings: 1, openIncident: 'i1', line: 2 });
    expect(stage.automation.counters().reloads).toBe(1);
  });

  test('a rule of which only its limits changed keeps its watch', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    await stage.start();
    const [first] = stage.watches.logs;
    stage.write(file(log('a', 'ERROR', ', dry-run: true')));
    await stage.clock.advance(3000);
    expect(stage.watches.logs).toEqual([first]);
    first?.listener.matched({ host: 'h', timeMs: 0, line: 'ERROR', count: 1 });
    expect((await stage.rule('a')).why).toContain('dry run');
    expect(stage.incidents.incidents).toEqual([]);
  });

  test('a rule that is removed closes its watch, and its open incident ends by its bounds', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    await stage.start();
    await stage.fire('a');
    stage.write('rules: []\n');
    await stage.clock.advance(3000);
    expect(stage.watches.logs).toEqual([]);
    expect(await stage.automation.rules()).toEqual([]);
    expect(stage.points.live).toHaveLength(1);
    stage.points.hit('p1', 'x');
    await settled();
    expect(stage.incidents.timeline()).toContain('snapshot: snapshot s1-x of point p1, 1 of 10');
    await stage.clock.advance(2 * 60_000);
    expect(stage.incidents.find('i1').closed).toBe(
      'it expired: one snapshot came, one stack; armed in 1 process, 0 hits',
    );
    expect(stage.points.live).toEqual([]);

    // Its budget is still charged when it comes back.
    stage.write(file(log('a')));
    await stage.clock.advance(3000);
    expect(await stage.rule('a')).toMatchObject({ firings: 1 });
    stage.write('rules: []\n');
    await stage.clock.advance(3000);
    stage.clock.set(stage.clock.nowMs() + 25 * 3600_000);
    await stage.clock.advance(2000);
    expect(stage.store.listStates()).toEqual([]);
  });

  test('a file with an error keeps the rules as they were, and says so', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    await stage.start();
    const [watch] = stage.watches.logs;
    const wrong = log('b').replace('name:x', 'nmae:x');
    stage.write(file(log('a', 'WARN'), wrong));
    await stage.clock.advance(3000);
    expect(stage.watches.logs).toEqual([watch]);
    const problem = `${stage.rulesPath}:3:${wrong.indexOf('nmae') + 1}: rules[1].where: "nmae:x" is no target: a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST`;
    expect((await stage.rule('a')).why).toBe(
      `no line matched yet; it runs as it was before, its file has an error: ${problem}`,
    );
    expect(stage.log.lines.filter((line) => line.startsWith('error'))).toEqual([
      `error a rules file has an error: its rules run as they were before ${JSON.stringify({ file: stage.rulesPath, error: problem })}`,
    ]);
    expect(stage.automation.counters().brokenFiles).toBe(1);
    stage.write(file(log('a', 'WARN')));
    await stage.clock.advance(3000);
    expect((await stage.rule('a')).why).toBe('no line matched yet');
    expect(stage.watches.logs.map(({ watch: { pattern } }) => pattern)).toEqual(['WARN']);
  });

  test('a file that is gone keeps the rules as they were', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    await stage.start();
    rmSync(stage.rulesPath);
    await stage.clock.advance(5000);
    expect((await stage.rule('a')).why).toBe(
      `no line matched yet; it runs as it was before, its file has an error: cannot read rules: there is no "${stage.rulesPath}"`,
    );
    expect(stage.log.lines.filter((line) => line.includes('cannot be read'))).toHaveLength(1);
    stage.write(file(log('a')));
    await stage.clock.advance(3000);
    expect((await stage.rule('a')).why).toBe('no line matched yet');
  });

  test('a file that is empty for a moment does no harm', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    await stage.start();
    const [watch] = stage.watches.logs;
    writeFileSync(stage.rulesPath, '');
    await stage.clock.advance(3000);
    expect(stage.watches.logs).toEqual([watch]);
    expect((await stage.rule('a')).why).toContain('the file is empty: it needs "rules"');
  });

  test('at the start, a file with an error is told where there is no rule to tell it', async () => {
    await using stage = new Stage({ rules: 'rules: 5\n' });
    await stage.start();
    expect(await stage.automation.rules()).toEqual([
      {
        name: 'rules.yaml',
        file: stage.rulesPath,
        line: 1,
        trigger: '',
        state: 'loading-failed',
        why: `no rule of it runs: ${stage.rulesPath}:1:1: rules: must be a list of rules`,
        firings: 0,
        refused: 0,
        failures: 0,
      },
    ]);
  });

  test('a path that is not there is told at the start', async () => {
    await using stage = new Stage({ rules: 'rules: []\n' });
    rmSync(stage.rulesPath);
    await expect(stage.start()).rejects.toMatchObject({
      code: 'not-found',
      message: `cannot read rules: there is no "${stage.rulesPath}"`,
    });
  });
});

describe('count points', () => {
  const counts = (stage: Stage): string[] =>
    stage.points.live.map(({ kind, owner, location }) => `${kind} ${owner ?? ''} ${location}`);

  test('are kept over a restart, and not doubled', async () => {
    await using stage = new Stage({ rules: file(metric('a')) });
    await stage.start();
    await stage.clock.advance(2000);
    expect(counts(stage)).toEqual(['count rule:a f.c:1']);
    for (let i = 0; i < 3; i++) {
      stage.kill();
      await stage.start();
      await stage.clock.advance(2000);
    }
    expect(stage.points.points.size).toBe(1);
    await stage.automation[Symbol.asyncDispose]();
    expect(counts(stage)).toEqual(['count rule:a f.c:1']);
  });

  test('move with their rule, and go with it', async () => {
    await using stage = new Stage({ rules: file(metric('a')) });
    await stage.start();
    stage.write(file(metric('a', 'g.c:2')));
    await stage.clock.advance(3000);
    expect(counts(stage)).toEqual(['count rule:a g.c:2']);
    stage.write(file(metric('a', 'g.c:2', ', enabled: false')));
    await stage.clock.advance(3000);
    expect(counts(stage)).toEqual([]);
    stage.write(file(metric('a', 'g.c:2')));
    await stage.clock.advance(3000);
    stage.write(file(log('a')));
    await stage.clock.advance(3000);
    expect(counts(stage)).toEqual([]);
  });

  test('of a rule that was removed while nobody ran are removed, unless a file cannot say what it wants', async () => {
    await using stage = new Stage({ rules: file(metric('a')) });
    await stage.start();
    await stage.clock.advance(1000);
    stage.kill();
    stage.write('rules: [');
    await stage.start();
    await stage.clock.advance(3000);
    expect(counts(stage)).toEqual(['count rule:a f.c:1']);
    stage.write('rules: []');
    await stage.clock.advance(3000);
    expect(counts(stage)).toEqual([]);
  });
});

describe('watching', () => {
  function watching(path: string): { readonly clock: FakeClock; readonly seen: string[] } & Disposable {
    const clock = new FakeClock();
    const seen: string[] = [];
    const note = ({ rules, errors }: RuleCheck): void => {
      seen.push([...rules.map(({ name }) => name), ...errors.map(({ message }) => message)].join(' '));
    };
    const watch = watchRules(path, { changed: note, unreadable: (reason) => seen.push(reason) }, { clock });
    note(watch.check);
    return { clock, seen, [Symbol.dispose]: () => watch[Symbol.dispose]() };
  }

  test('a file that is being written is not read before it is still', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    using watch = watching(stage.rulesPath);
    for (let i = 1; i <= 20; i++) {
      writeFileSync(stage.rulesPath, file(log('a'), log('b')).slice(0, i * 10));
      await watch.clock.advance(300);
    }
    writeFileSync(stage.rulesPath, file(log('a'), log('b')));
    expect(watch.seen).toEqual(['a']);
    await watch.clock.advance(2000);
    expect(watch.seen).toEqual(['a', 'a b']);
  });

  test('a directory: files come, change and go', async () => {
    await using stage = new Stage({ rules: '' });
    const folder = join(stage.folder, 'rules');
    mkdirSync(folder);
    using watch = watching(folder);
    writeFileSync(join(folder, 'a.yaml'), file(log('a')));
    await watch.clock.advance(3000);
    writeFileSync(join(folder, 'b.yaml'), file(log('b')));
    await watch.clock.advance(3000);
    rmSync(join(folder, 'a.yaml'));
    await watch.clock.advance(3000);
    writeFileSync(join(folder, 'notes.txt'), 'x');
    await watch.clock.advance(3000);
    expect(watch.seen).toEqual(['', 'a', 'a b', 'b']);
  });

  test('a link that is turned to another directory, as configuration maps do it', async () => {
    await using stage = new Stage({ rules: '' });
    for (const name of ['1', '2']) {
      mkdirSync(join(stage.folder, name));
      writeFileSync(join(stage.folder, name, 'r.yaml'), file(log(`rule${name}`)));
    }
    const link = join(stage.folder, 'now');
    symlinkSync('1', link);
    using watch = watching(join(link, 'r.yaml'));
    rmSync(link);
    symlinkSync('2', link);
    await watch.clock.advance(3000);
    expect(watch.seen).toEqual(['rule1', 'rule2']);
  });

  test('what is told of a change makes the look come sooner', async () => {
    await using stage = new Stage({ rules: file(log('a')) });
    const clock = new FakeClock();
    const seen: number[] = [];
    const options = { clock, pollMs: 3600_000 };
    using _watch = watchRules(
      stage.rulesPath,
      { changed: ({ rules }) => seen.push(rules.length), unreadable: () => undefined },
      options,
    );
    stage.write(file(log('a'), log('b')));
    for (let i = 0; i < 3000 && seen.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await clock.advance(500);
    }
    expect(seen).toEqual([2]);
  });
});

describe('files of which some have an error', () => {
  const check = (files: Record<string, string>): RuleCheck =>
    checkTexts(Object.entries(files).map(([name, text]) => ({ file: name, text })));
  const names = ({
    rules,
  }: {
    readonly rules: readonly { readonly name: string; readonly file: string }[];
  }) => rules.map(({ name, file: from }) => `${from} ${name}`).toSorted();

  test('each keeps what it had, the others go on', () => {
    const set = new RuleSet();
    expect(names(set.apply(check({ a: file(log('a')), b: file(log('b')) })))).toEqual(['a a', 'b b']);
    const broken = set.apply(check({ a: 'x', b: file(log('b'), log('b2')) }));
    expect(names(broken)).toEqual(['a a', 'b b', 'b b2']);
    expect(broken).toMatchObject({ isComplete: true, brokenFiles: [{ file: 'a', hasRules: true }] });
    // A rule that moved while its old file is broken.
    expect(names(set.apply(check({ a: 'x', b: file(log('a')) })))).toEqual(['b a']);
    // The file is gone, and its rules with it.
    expect(names(set.apply(check({ b: file(log('b')) })))).toEqual(['b b']);
  });

  test('a file that never was right: what it wants nobody knows', () => {
    const set = new RuleSet();
    const running = set.apply(check({ a: 'x\ny: [', b: file(log('b')) }));
    expect(names(running)).toEqual(['b b']);
    expect(running.isComplete).toBe(false);
    expect(running.brokenFiles[0]?.hasRules).toBe(false);
  });

  test('more than one error', () => {
    const set = new RuleSet();
    const [broken] = set.apply(check({ a: 'rules: [{ nam: 1 }]' })).brokenFiles;
    expect(broken?.text).toMatch(/^a:1:9: rules\[0\]\.name: is missing \(and \d more errors\)$/);
  });
});
