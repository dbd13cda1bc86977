/** Rules, what a test of one says, and what came of firing one, as people read them. */
import type { FiringDocument, RuleDocument, RuleTestDocument } from '../automation/rule-document.js';
import { clean, colors, grouped, plural } from './style.js';

const stateColor: Readonly<Record<string, (text: string) => string>> = {
  active: colors.green,
  suspended: colors.red,
  spent: colors.yellow,
  'cooling-down': colors.yellow,
};

export function renderRules(rules: readonly RuleDocument[]): string {
  return rules.length === 0 ? 'no rules' : rules.map(renderRule).join('\n');
}

function renderRule(rule: RuleDocument): string {
  const state = (stateColor[rule.state] ?? colors.dim)(clean(rule.state));
  const place = colors.dim(`${clean(rule.file)}:${rule.line}`);
  const counts = [
    `fired ${plural(rule.firings, 'time')}`,
    ...(rule.refused === 0 ? [] : [`refused ${grouped(rule.refused)}`]),
    ...(rule.failures === 0 ? [] : [colors.red(`failed ${grouped(rule.failures)}`)]),
    ...(rule.lastFired === undefined ? [] : [`last at ${clean(rule.lastFired)}`]),
    ...(rule.openIncident === undefined ? [] : [`open incident ${clean(rule.openIncident)}`]),
  ];
  return [
    `${colors.bold(clean(rule.name))}  ${state}  ${clean(rule.trigger)}  ${place}`,
    ...(rule.why === '' ? [] : [`  ${clean(rule.why)}`]),
    `  ${counts.join(', ')}`,
  ].join('\n');
}

const mark = (ok: boolean): string => (ok ? colors.green('✓') : colors.red('✗'));

export function renderRuleTest(test: RuleTestDocument): string {
  const verdict = test.wouldFire ? colors.green('would fire now') : colors.yellow('would not fire now');
  return [
    `${colors.bold(clean(test.rule))}  ${verdict}`,
    ...(test.text === '' ? [] : [`  ${clean(test.text)}`]),
    `  ${mark(test.trigger.ok)} ${clean(test.trigger.text)}`,
    ...test.steps.map(({ step, ok, text }) => `  ${mark(ok)} ${colors.bold(clean(step))}  ${clean(text)}`),
  ].join('\n');
}

export function renderFiring({ rule, fired, why, incident }: FiringDocument): string {
  const because = why === '' ? '' : `: ${clean(why)}`;
  if (!fired) return `${colors.yellow('not fired')}  ${clean(rule)}${because}`;
  const what = incident === undefined ? '' : `, incident ${clean(incident)}`;
  return `${colors.green('fired')}  ${clean(rule)}${what}${because}`;
}
