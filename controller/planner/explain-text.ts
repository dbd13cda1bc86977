import type { Explanation, SiteExplanation, VariableExplanation } from './explain.js';

/** An explanation for people: one paragraph an address. Ends with a newline. */
export function explanationText(explanation: Explanation): string {
  const { location, module, sites, dropped, stackBytes, maxBytes } = explanation;
  const count = sites.length === 1 ? 'one address' : `${sites.length} addresses`;
  const build = module.buildId === '' ? '' : ` (build id ${module.buildId})`;
  const lines = [`${location}: ${count} in ${module.path}${build}`];
  for (const site of sites) lines.push('', ...siteLines(site));
  if (dropped.length > 0) {
    lines.push('', 'not probed');
    for (const each of dropped) lines.push(`  ${each.address} ${each.function}: ${each.reason}`);
  }
  lines.push(
    '',
    `each hit also brings registers and ${stackBytes} bytes of stack; ${maxBytes} bytes in all at most`,
  );
  return `${lines.join('\n')}\n`;
}

function siteLines(site: SiteExplanation): string[] {
  const { instruction, condition, captures, variables, ranges, cuts } = site;
  const source = site.file === undefined ? '' : ` at ${site.file}:${site.line ?? '?'}`;
  const lines = [
    `${site.address} ${site.function}${source}${site.afterPrologue ? ', after the prologue' : ''}`,
  ];
  if (site.inlined) lines.push(`  inlined into ${site.inlinedInto.join(', which is in ')}`);
  const code = instruction.bytes === '' ? '' : ` (${instruction.group}: ${instruction.bytes})`;
  lines.push(`  cost: ${instruction.cost}${code}`);
  if (condition !== undefined) {
    lines.push(
      `  condition, decided in the ${condition.runsIn}: ${condition.text}`,
      `    ${condition.listing}`,
    );
  }
  if (captures.length > 0) {
    lines.push('  captures');
    for (const { expression, type, absent } of captures) {
      lines.push(
        `    ${expression} (${type})${absent === undefined ? '' : `: ${absent.reason}, ${absent.detail}`}`,
      );
    }
  }
  if (variables.length > 0) lines.push('  variables', ...variableLines(variables));
  lines.push(
    `  collects ${ranges.count} ranges: about ${ranges.expectedBytes} bytes, ${ranges.mostBytes} at most`,
  );
  if (cuts.length > 0) lines.push('  left out', ...cuts.map((cut) => `    ${cut}`));
  return lines;
}

/** A table: name, type, place; under the function that they belong to where there are several. */
function variableLines(variables: readonly VariableExplanation[]): string[] {
  const owners = new Set(variables.map((variable) => variable.function));
  const nameWidth = Math.max(...variables.map(({ name }) => name.length));
  const typeWidth = Math.min(40, Math.max(...variables.map(({ type }) => type.length)));
  const lines: string[] = [];
  let owner: string | undefined;
  for (const { name, type, where, absent, function: of } of variables) {
    if (owners.size > 1 && of !== owner) lines.push(`    of ${of}`);
    owner = of;
    const place = where ?? (absent === undefined ? '' : `${absent.reason}: ${absent.detail}`);
    lines.push(`    ${name.padEnd(nameWidth)}  ${type.padEnd(typeWidth)}  ${place}`.trimEnd());
  }
  return lines;
}
