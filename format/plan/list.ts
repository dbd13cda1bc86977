import { listDecision } from '../decision/list.js';
import { listExpression } from '../dwarf-op/list.js';
import type { PlanAggregate, SiteAggregate } from './aggregate.js';
import type { Plan, PlanRange } from './plan.js';
import type { PlanRepeat } from './repeat.js';

/** A plan as text for people: every site, its condition and its ranges, with their expressions. Ends with a newline. */
export function listPlan(plan: Plan): string {
  const lines = [
    `plan for ${plan.module.path}${plan.module.buildId === '' ? '' : ` (build id ${plan.module.buildId})`}`,
    `  location ${plan.request.location}`,
    ...(plan.request.condition === undefined ? [] : [`  condition ${plan.request.condition}`]),
    ...plan.request.captures.map((capture) => `  capture ${capture}`),
    plan.aggregate === undefined
      ? `  stack window ${plan.stackBytes} bytes, at most ${plan.maxBytes} bytes a hit`
      : `  ${aggregateText(plan.aggregate)}`,
  ];
  const { watch } = plan;
  if (watch !== undefined) {
    const which = watch.onlyChanges ? 'changes' : 'writes';
    lines.push(`  ${which} of ${watch.expression}, ${watch.bytes} bytes at ${listExpression(watch.address)}`);
  }
  for (const site of plan.sites) {
    const line = site.line === undefined ? '' : `:${site.line}`;
    const source = site.file === undefined ? '' : ` at ${site.file}${line}`;
    lines.push(
      `site 0x${site.linkAddress.toString(16)} (file offset 0x${site.fileOffset.toString(16)}) ${site.function}${source}${site.inlined ? ', inlined' : ''}`,
    );
    if (site.condition !== undefined) lines.push(`  if ${listExpression(site.condition)}`);
    if (site.decision !== undefined)
      lines.push('  if the agent finds', ...listDecision(site.decision).map((cell) => `    ${cell}`));
    listRanges(site.ranges, '  ', lines);
    if (site.aggregate !== undefined) listSiteAggregate(site.aggregate, lines);
  }
  return `${lines.join('\n')}\n`;
}

function listRanges(ranges: readonly PlanRange[], indent: string, lines: string[]): void {
  for (const range of ranges) {
    const notes = [
      `at most ${range.maxBytes} bytes`,
      ...(range.untilNul ? ['until NUL'] : []),
      ...(range.secret ? ['secret'] : []),
    ];
    lines.push(
      `${indent}${range.path} (${notes.join(', ')})`,
      `${indent}  address ${listExpression(range.address)}`,
      `${indent}  length ${listExpression(range.length)}`,
    );
    if (range.repeat !== undefined) listRepeat(range.repeat, `${indent}  `, lines);
    listRanges(range.children, `${indent}  `, lines);
  }
}

function listRepeat({ maxItems, count, next }: PlanRepeat, indent: string, lines: string[]): void {
  lines.push(`${indent}again and again, at most ${maxItems} items, next ${listExpression(next)}`);
  if (count !== undefined) lines.push(`${indent}count ${listExpression(count)}`);
}

function aggregateText({ kind, signed, buckets, group, maxGroups }: PlanAggregate): string {
  const cuts =
    buckets?.kind === 'linear'
      ? `, ${buckets.count} buckets of ${buckets.width} from ${buckets.base}`
      : buckets === undefined
        ? ''
        : ', powers of two';
  const by =
    group === undefined
      ? ''
      : `, by a ${group.kind === 'number' ? 'number' : `string of ${group.maxBytes} bytes`}, at most ${maxGroups} groups`;
  return `adds up: ${kind}${kind === 'count' ? '' : ` of ${signed ? 'signed' : 'unsigned'} values`}${cuts}${by}`;
}

function listSiteAggregate({ value, group, groupLength }: SiteAggregate, lines: string[]): void {
  if (value !== undefined) lines.push(`  value ${listExpression(value)}`);
  if (group !== undefined) lines.push(`  group ${listExpression(group)}`);
  if (groupLength !== undefined) lines.push(`  group length ${listExpression(groupLength)}`);
}
