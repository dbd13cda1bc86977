/** What the parts of one rule demand of each other: templates and `allow`, `self` and the trigger, hits of a step and of the rule. */
import { didYouMean, nearMatches } from '../expression/near-match.js';
import { triggerKinds, type TriggerKind } from './rule.js';
import type { RawRule } from './raw-rule.js';
import type { SchemaIssue } from './rule-schema.js';
import { allowKey, isExact, references, type Reference, type Use } from './template.js';

/** The labels that firings of a trigger have; undefined where those are up to somebody else. */
export const labelsOfTrigger: Readonly<Record<TriggerKind, readonly string[] | undefined>> = {
  prometheus: undefined,
  alertmanager: undefined,
  metric: [],
  log: ['host'],
  process: ['host', 'pid', 'name', 'unit', 'container', 'service'],
  manual: undefined,
};

export function checkTemplates(raw: RawRule): readonly SchemaIssue[] {
  const issues: SchemaIssue[] = [];
  const fail = (path: SchemaIssue['path'], message: string, atKey = false): void => {
    issues.push({ path, message, atKey });
  };
  const trigger = triggerKinds.find((kind) => raw.when[kind] !== undefined) ?? 'manual';
  const used = new Set<string>();
  for (const { path, text, use } of templatesOf(raw)) {
    for (const reference of references(text)) {
      used.add(allowKey(reference));
      const fault = checkReference(reference, { use, trigger, allow: raw.allow });
      if (fault !== undefined) fail(path, fault);
    }
  }
  for (const name of Object.keys(raw.allow)) {
    if (used.has(name)) continue;
    const near = didYouMean(nearMatches(name, used));
    fail(['allow', name], `no template uses it${near === undefined ? '' : `: ${near}`}`, true);
  }
  if (raw.where === 'self' && trigger !== 'process') {
    fail(['where'], `"self" is the process that a process trigger saw; this rule's trigger is ${trigger}`);
  }
  for (const [i, { snapshot }] of raw.what.entries()) {
    if (snapshot?.hits === undefined || snapshot.hits <= raw.limits.hits) continue;
    const message = `${snapshot.hits} hits are more than the ${raw.limits.hits} that limits.hits allows the incident`;
    fail(['what', i, 'snapshot', 'hits'], message);
  }
  return issues;
}

interface TemplateText {
  readonly path: SchemaIssue['path'];
  readonly text: string;
  readonly use: Use;
}

function* templatesOf(raw: RawRule): Generator<TemplateText> {
  yield { path: ['where'], text: raw.where, use: 'target' };
  for (const [i, { snapshot }] of raw.what.entries()) {
    if (snapshot === undefined) continue;
    const at = ['what', i, 'snapshot'];
    yield { path: [...at, 'at'], text: snapshot.at, use: 'expression' };
    if (snapshot.if !== undefined) yield { path: [...at, 'if'], text: snapshot.if, use: 'expression' };
    for (const [j, text] of snapshot.capture.entries()) {
      yield { path: [...at, 'capture', j], text, use: 'expression' };
    }
  }
}

function checkReference(
  reference: Reference,
  rule: { readonly use: Use; readonly trigger: TriggerKind; readonly allow: RawRule['allow'] },
): string | undefined {
  const { source, name } = reference;
  const { trigger, use } = rule;
  const key = allowKey(reference);
  if (source === 'annotations' && trigger !== 'alertmanager') {
    return `a ${trigger} trigger brings no annotations, only alertmanager does`;
  }
  const known = labelsOfTrigger[trigger];
  if (source === 'labels' && known !== undefined && !known.includes(name)) {
    const near = didYouMean(nearMatches(name, known));
    const these = known.length === 0 ? 'no labels' : `only the labels ${known.join(', ')}`;
    return `a ${trigger} trigger brings ${these}${near === undefined ? '' : `: ${near}`}`;
  }
  const entries = Object.hasOwn(rule.allow, key) ? rule.allow[key] : undefined;
  if (entries === undefined) return `"${key}" needs an entry in allow, which says what may be filled in`;
  if (use === 'expression' && !entries.some(isExact)) {
    return `in a location or an expression "${key}" needs entries in allow without *`;
  }
  return undefined;
}
