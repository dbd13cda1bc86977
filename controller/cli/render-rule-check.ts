/** What is wrong with rules files, as people read it, and as a document. */
import { renderRuleError, type RuleCheck, type RuleFile } from '../automation/rules-file.js';
import { clean, colors, plural } from './style.js';

export function renderRuleCheck({ files, rules, errors }: RuleCheck): string {
  const problems = errors.map((error) => colors.red(clean(renderRuleError(error))));
  const count = `${plural(rules.length, 'rule')} in ${plural(files.length, 'file')}`;
  return [
    ...problems,
    errors.length === 0 ? `${count}: ok` : `${count}, ${plural(errors.length, 'error')}`,
  ].join('\n');
}

export interface RuleFileDocument {
  readonly file: string;
  readonly rules: readonly string[];
  readonly errors: readonly {
    readonly line: number;
    readonly column: number;
    readonly path: string;
    readonly message: string;
  }[];
}

export function ruleFileDocument({ file, rules, errors }: RuleFile): RuleFileDocument {
  return {
    file,
    rules: rules.map(({ name }) => name),
    errors: errors.map(({ line, column, path, message }) => ({ line, column, path, message })),
  };
}
