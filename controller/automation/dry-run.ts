/** What a rule would do now, without doing it: its trigger asked once, its templates filled in, its targets found, its steps planned. */
import { toStillframeError } from '../../format/error.js';
import type { ControllerApi } from '../service/controller-api.js';
import type { ExplainDocument, TargetDocument } from '../service/documents.js';
import type { Clock } from './clock.js';
import type { Rule } from './rule.js';
import type { RuleTestDocument } from './rule-document.js';
import { decide } from './rule-engine.js';
import { describeStep, planSteps } from './rule-plan.js';
import type { FilledSnapshot, FilledStep, RuleState } from './rule-state.js';
import { isExact } from './template.js';
import type { Probe, Trigger } from './trigger.js';
import { within } from './within.js';

export interface DryRunContext {
  readonly rule: Rule;
  readonly state: RuleState;
  readonly trigger: Trigger | undefined;
  readonly api: Pick<ControllerApi, 'targets' | 'explain'>;
  readonly clock: Clock;
}

type TestedStep = RuleTestDocument['steps'][number];

const askTimeoutMs = 30_000;
const maxShownTargets = 5;

export async function dryRun(context: DryRunContext): Promise<RuleTestDocument> {
  const { rule, state, clock } = context;
  const probe = await probeTrigger(context);
  const sample = sampleOf(rule, probe);
  const plan = planSteps(rule, sample);
  const firing = { trigger: rule.when.kind, text: '', facts: {}, ...sample };
  const decision = decide(state, rule, { firing, plan, nowMs: clock.nowMs() });
  const steps =
    'refusal' in plan
      ? [{ step: `where ${rule.where}`, ok: false, text: `cannot be told without a firing: ${plan.refusal}` }]
      : await testSteps(context, plan.steps);
  const bound =
    decision.kind === 'refuse'
      ? decision.why
      : decision.kind === 'repeat'
        ? `incident ${state.incident?.id ?? ''} is open: it would be counted there`
        : '';
  const isReady = bound === '' && probe.ok && steps.every(({ ok }) => ok);
  const text = isReady
    ? probe.holds === false
      ? 'it would do this, and waits for its trigger'
      : probe.holds === true
        ? 'it would fire now'
        : 'it would do this when its trigger fires'
    : bound || (probe.ok ? 'a step would fail' : 'its trigger sees nothing');
  return {
    rule: rule.name,
    steps,
    trigger: { ok: probe.ok, text: probe.text },
    wouldFire: isReady && probe.holds !== false,
    text,
  };
}

async function probeTrigger({ trigger, clock }: DryRunContext): Promise<Probe> {
  if (trigger === undefined) return { ok: false, text: 'the rule is disabled: its trigger does not run' };
  try {
    return await within(trigger.probe(), { ms: askTimeoutMs, clock, what: 'asking the trigger' });
  } catch (error) {
    return { ok: false, text: toStillframeError(error).message };
  }
}

/** Labels of what the trigger sees; else those that `allow` spells out. */
function sampleOf(
  rule: Rule,
  probe: Probe,
): { readonly labels: Record<string, string>; readonly annotations: Record<string, string> } {
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  for (const [key, entries] of rule.allow) {
    const exact = entries.find(isExact);
    if (exact === undefined) continue;
    const annotation = /^annotations\.(.*)$/.exec(key)?.[1];
    if (annotation === undefined) labels[key] = exact;
    else annotations[annotation] = exact;
  }
  return { labels: { ...labels, ...probe.labels }, annotations };
}

async function testSteps(context: DryRunContext, steps: readonly FilledStep[]): Promise<TestedStep[]> {
  const { api, clock } = context;
  const [first] = steps;
  if (first === undefined) return [];
  const { target } = first;
  let found: readonly TargetDocument[];
  try {
    const asking = api.targets(target);
    found = await within(asking, { ms: askTimeoutMs, clock, what: `asking for the processes of ${target}` });
  } catch (error) {
    const text = toStillframeError(error).message;
    return [{ step: `where ${target}`, ok: false, text }];
  }
  const tested: TestedStep[] = [testTarget(target, found)];
  for (const step of steps) {
    const name = describeStep(step);
    if (step.kind === 'now') {
      const many = Math.min(step.processes, found.filter(isOpen).length);
      tested.push({ step: name, ok: many > 0, text: `takes all threads of ${many} of them` });
    } else tested.push({ step: name, ...(await testSnapshot(context, step)) });
  }
  return tested;
}

const isOpen = ({ refusal }: TargetDocument): boolean => refusal === undefined;

function testTarget(target: string, found: readonly TargetDocument[]): TestedStep {
  const step = `where ${target}`;
  const open = found.filter(isOpen);
  const refused = found.find((each) => !isOpen(each));
  if (open.length === 0) {
    const text = refused?.refusal ?? 'no process fits now: a point would wait for one';
    return { step, ok: refused === undefined && found.length === 0, text };
  }
  const shown = open
    .slice(0, maxShownTargets)
    .map(({ pid, name, host }) => `${name} ${pid}${host === undefined ? '' : `@${host}`}`);
  const more = open.length > shown.length ? `, and ${open.length - shown.length} more` : '';
  return { step, ok: true, text: `${open.length} fit: ${shown.join(', ')}${more}` };
}

async function testSnapshot(
  { api, clock }: DryRunContext,
  step: FilledSnapshot,
): Promise<Omit<TestedStep, 'step'>> {
  const { target, location, condition, captures, engine } = step;
  const { depth, stackBytes, bytes } = step.bounds;
  try {
    const explaining = api.explain({
      target,
      location,
      captures,
      engine,
      bounds: {
        ...(depth === undefined ? {} : { depth }),
        ...(stackBytes === undefined ? {} : { stackBytes }),
        ...(bytes === undefined ? {} : { bytes }),
      },
      ...(condition === undefined ? {} : { condition }),
    });
    const explained = await within(explaining, { ms: askTimeoutMs, clock, what: `planning ${location}` });
    return { ok: explained.sites.length > 0, text: placesOf(explained) };
  } catch (error) {
    const { message, hint } = toStillframeError(error);
    return { ok: false, text: hint === undefined ? message : `${message} (${hint})` };
  }
}

function placesOf({ sites, module, dropped, leftOut }: ExplainDocument): string {
  const base = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const places = sites.map((site) => {
    const line = site.file === undefined ? '' : ` at ${base(site.file)}:${site.line ?? '?'}`;
    return `${site.address} ${site.function}${line}, ${site.instruction.cost}`;
  });
  const absent = new Set(
    sites.flatMap((site) =>
      site.captures.flatMap((each) =>
        each.absent === undefined ? [] : [`${each.expression} is not there: ${each.absent.detail}`],
      ),
    ),
  );
  const parts = [
    `${places.length === 1 ? 'one address' : `${places.length} addresses`} in ${base(module.path)}: ${places.slice(0, 3).join('; ') || 'none'}`,
    ...[...absent].slice(0, 3),
    ...dropped.slice(0, 1).map(({ address, reason }) => `not at ${address}: ${reason}`),
    ...(leftOut ?? []).slice(0, 1).map(({ pid, reason }) => `not in process ${pid}: ${reason}`),
  ];
  return parts.join('; ');
}
