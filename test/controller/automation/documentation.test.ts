import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkTexts, renderRuleError } from '../../../controller/automation/rules-file.js';
import { repositoryRoot } from '../../support/paths.js';

const text = readFileSync(join(repositoryRoot, 'docs', 'automation.md'), 'utf8');
const examples = [...text.matchAll(/```yaml\n(rules:\n[\s\S]*?)```/g)].map((match) => match[1] ?? '');

describe('docs/automation.md', () => {
  test('has examples', () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  test.each(examples.map((example, i) => [i + 1, example] as const))('example %i is right', (_, example) => {
    expect(checkTexts([{ file: 'example.yaml', text: example }]).errors.map(renderRuleError)).toEqual([]);
  });

  test('names every key', () => {
    const wrong = checkTexts([
      {
        file: 'x',
        text: 'rules: [{ x: 1, when: { x: 1, prometheus: { x: 1 }, alertmanager: { x: 1 }, metric: { x: 1 }, log: { x: 1 }, process: { x: 1 } }, what: [{ x: 1, snapshot: { x: 1 }, now: { x: 1 } }], limits: { x: 1 }, notify: [{ x: 1 }] }]',
      },
    ]).errors.flatMap(({ message }) => /here may stand (.*)$/.exec(message)?.[1]?.split(', ') ?? []);
    expect(wrong.length).toBeGreaterThan(50);
    expect(wrong.filter((key) => !text.includes(`\`${key}`))).toEqual([]);
  });
});
