import { checkTexts, renderRuleError } from '../../../controller/automation/rules-file.js';

export const errorsOf = (text: string): string[] =>
  checkTexts([{ file: 'r.yaml', text }]).errors.map(renderRuleError);

/** A rule that is right but for what a test puts into it; each part stands on a line of its own. */
export function rule(
  parts: Partial<Record<'name' | 'when' | 'where' | 'what' | 'rest', string>> = {},
): string {
  const {
    name = 'checkout',
    when = '{ manual: {} }',
    where = 'name:x',
    what = "[{ snapshot: { at: 'f.c:1' } }]",
    rest = '',
  } = parts;
  return `rules:\n  - name: ${name}\n    when: ${when}\n    where: ${where}\n    what: ${what}\n    ${rest}\n`;
}
