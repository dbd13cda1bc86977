/**
 * A condition is decided where it costs least: what lowers to DWARF operations in the kernel, and of what joins it by `&&` the rest in the agent, on the bytes of those hits that
 * the kernel lets through. A hit counts only where both parts hold, so that no part is left out; what neither can decide is refused.
 */
import type { Decision } from '../../format/decision/decision.js';
import { intType } from '../expression/c-types.js';
import { checkCondition } from '../expression/check.js';
import { inText } from '../expression/in-text.js';
import { isUnlowered, lowerCondition, type Unlowered } from '../expression/lower.js';
import { lowerDecision } from '../expression/lower-decision.js';
import type { Typed } from '../expression/typed.js';
import type { Site } from './site.js';

export interface PlannedCondition {
  readonly text: string;
  /** What is joined by `&&`. */
  readonly parts: readonly ConditionPart[];
  readonly kernel?: Uint8Array;
  readonly agent?: Decision;
}

export interface ConditionPart {
  readonly text: string;
  readonly node: Typed;
  readonly runsIn: 'kernel' | 'agent';
  /** Why not in the kernel. */
  readonly reason?: string;
}

/** Throws `bad-expression`; gives back why neither the kernel nor the agent can decide it. */
export function planCondition(
  site: Site,
  text: string,
): PlannedCondition | (Unlowered & { readonly node: Typed }) {
  const node = inText(text, () => checkCondition(text, site.names));
  // How long the function took only the kernel knows.
  const inKernel = { ...site, timed: site.isTimed };
  const whole = lowerCondition(node, inKernel);
  if (!isUnlowered(whole)) return { text, parts: [{ text, node, runsIn: 'kernel' }], kernel: whole };
  const conjuncts = conjunctsOf(node).map((part) => ({ part, lowered: lowerCondition(part, inKernel) }));
  const own = conjuncts.filter(({ lowered }) => !isUnlowered(lowered)).map(({ part }) => part);
  const rest = conjuncts.filter(({ lowered }) => isUnlowered(lowered)).map(({ part }) => part);
  const kernelNode = joined(own);
  const kernel = kernelNode === undefined ? undefined : lowerCondition(kernelNode, inKernel);
  const agentNode = joined(rest) ?? node;
  const agent = lowerDecision(agentNode, site);
  if (isUnlowered(agent)) return { ...agent, node };
  if (isUnlowered(kernel)) return { ...kernel, node };
  const parts = conjuncts.map(({ part, lowered }): ConditionPart => ({
    text: textOf(part, text),
    node: part,
    ...(isUnlowered(lowered) ? { runsIn: 'agent', reason: lowered.unsupported } : { runsIn: 'kernel' }),
  }));
  return { text, parts, agent, ...(kernel === undefined ? {} : { kernel }) };
}

function conjunctsOf(node: Typed): Typed[] {
  if (node.kind !== 'logical' || node.operator !== '&&') return [node];
  return [...conjunctsOf(node.left), ...conjunctsOf(node.right)];
}

function joined(conjuncts: readonly Typed[]): Typed | undefined {
  return conjuncts.reduce<Typed | undefined>((left, right) => {
    if (left === undefined) return right;
    const span = { start: left.span.start, end: right.span.end };
    return { kind: 'logical', operator: '&&', left, right, type: intType, span, path: right.path };
  }, undefined);
}

function textOf({ span }: Typed, text: string): string {
  return text.slice(span.start, span.end);
}
