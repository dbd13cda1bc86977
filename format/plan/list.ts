import { listExpression } from '../dwarf-op/list.js';
import type { Plan, PlanRange } from './plan.js';

/** A plan as text for people: every site, its condition and its ranges, with their expressions. Ends with a newline. */
export function listPlan(plan: Plan): string {
  const lines = [
    `plan for ${plan.module.path}${plan.module.buildId === '' ? '' : ` (build id ${plan.module.buildId})`}`,
    `  location ${plan.request.location}`,
    ...(plan.request.condition === undefined ? [] : [`  condition ${plan.request.condition}`]),
    ...plan.request.captures.map((capture) => `  capture ${capture}`),
    `  stack window ${plan.stackBytes} bytes, at most ${plan.maxBytes} bytes a hit`,
  ];
  for (const site of plan.sites) {
    const line = site.line === undefined ? '' : `:${site.line}`;
    const source = site.file === undefined ? '' : ` at ${site.file}${line}`;
    lines.push(
      `site 0x${site.linkAddress.toString(16)} (file offset 0x${site.fileOffset.toString(16)}) ${site.function}${source}${site.inlined ? ', inlined' : ''}`,
    );
    if (site.condition !== undefined) lines.push(`  if ${listExpression(site.condition)}`);
    listRanges(site.ranges, '  ', lines);
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
    listRanges(range.children, `${indent}  `, lines);
  }
}
