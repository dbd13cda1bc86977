/** A firing put into its rule's templates: what would be done, where. Pure. */
import type { Firing } from './firing.js';
import type { Rule } from './rule.js';
import type { FilledStep } from './rule-state.js';
import { fillTemplate, type Use } from './template.js';

export type StepPlan = { readonly steps: readonly FilledStep[] } | { readonly refusal: string };

const maxTargetLength = 300;
const selfPattern = /^\d{1,10}(?:@[A-Za-z0-9._:-]{1,253})?$/;

class Refusal extends Error {}

export function planSteps(rule: Rule, firing: Pick<Firing, 'labels' | 'annotations' | 'self'>): StepPlan {
  const fill = (text: string, use: Use): string => {
    const filled = fillTemplate(text, use, firing, rule.allow);
    if ('refusal' in filled) throw new Refusal(filled.refusal);
    return filled.text;
  };
  try {
    const target = rule.where === 'self' ? selfOf(firing) : fill(rule.where, 'target');
    if (target.length > maxTargetLength) {
      throw new Refusal(`the target has ${target.length} characters, at most ${maxTargetLength} are allowed`);
    }
    const steps = rule.what.map((step): FilledStep => {
      if (step.kind === 'now') return { ...step, target };
      const { condition, ...rest } = step;
      return {
        ...rest,
        target,
        location: fill(step.location, 'expression'),
        captures: step.captures.map((text) => fill(text, 'expression')),
        ...(condition === undefined ? {} : { condition: fill(condition, 'expression') }),
      };
    });
    return { steps };
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message };
    throw error;
  }
}

/** An agent says which process it is: what does not look like one is not used. */
function selfOf({ self }: Pick<Firing, 'self'>): string {
  if (self === undefined) {
    throw new Refusal('"self" is no process here: fire it with the label self=PID@HOST');
  }
  if (!selfPattern.test(self))
    throw new Refusal(`"self" is ${JSON.stringify(self.slice(0, 60))}, which is no PID@HOST`);
  return self;
}

/** `snapshot orders.c:88 if status >= 500 at service:checkout` */
export function describeStep(step: FilledStep): string {
  if (step.kind === 'now') return `all threads of ${step.target} now`;
  const condition = step.condition === undefined ? '' : ` if ${step.condition}`;
  return `snapshot ${step.location}${condition} at ${step.target}`;
}
