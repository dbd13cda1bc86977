/** A dry run as a person reads it: every address, what lives where, what a hit would cost and bring. */
import type { CaptureOutcome } from '../planner/capture.js';
import type {
  ConditionExplanation,
  DroppedSite,
  Explanation,
  SiteExplanation,
  VariableExplanation,
  WatchExplanation,
} from '../planner/explain.js';
import { bytesText, clean, colors, plural } from './style.js';

export function renderExplanation(explanation: Explanation): string {
  const { module, sites, dropped } = explanation;
  const title = `${colors.bold(clean(explanation.location))} in ${clean(module.path)}`;
  const build = colors.dim(`build id ${module.buildId === '' ? 'none' : module.buildId}`);
  const parts = [
    `${title}\n${build}`,
    ...(explanation.watch === undefined ? [] : [renderWatch(explanation.watch)]),
    ...sites.map((site, i) => renderSite(site, i, sites.length)),
    ...(dropped.length > 0 ? [renderDropped(dropped)] : []),
    `a hit brings ${bytesText(explanation.stackBytes)} of stack, at most ${bytesText(explanation.maxBytes)} in all`,
  ];
  return parts.join('\n\n');
}

function renderWatch(watch: WatchExplanation): string {
  const { expression, type, bytes, listing, condition, captures, onlyChanges } = watch;
  const lines = [
    `${colors.bold(clean(expression))}  ${clean(type)}, ${bytes} bytes, in an address register of each thread`,
    colors.dim(`  address      ${listing}   computed once, when it is armed`),
    `  a hit is     ${onlyChanges ? 'a write of another value' : 'a write'}, by the process itself; about 10 us each in a virtual machine, decided or not`,
  ];
  if (condition !== undefined) {
    lines.push(`  condition    ${clean(condition.text)}   decided in the kernel, after the write`);
    lines.push(colors.dim(`               ${condition.listing}`));
  }
  lines.push(...captures.map(renderCapture));
  return lines.join('\n');
}

function renderSite(site: SiteExplanation, index: number, count: number): string {
  const place =
    site.file === undefined
      ? ''
      : ` at ${clean(site.file.slice(site.file.lastIndexOf('/') + 1))}:${site.line ?? '?'}`;
  const into =
    site.inlinedInto.length > 0 ? `, inlined into ${site.inlinedInto.map(clean).join(' in ')}` : '';
  const moved = site.afterPrologue ? ', after the prologue' : '';
  const { instruction, movedFrom, pastLoads, cheaper } = site;
  const lines = [
    `${colors.bold(`address ${index + 1} of ${count}`)}  ${site.address}  ${clean(site.function)}${place}${into}${moved}`,
    `  instruction  ${instruction.bytes} (${instruction.group}), ${instruction.probe}: ${instruction.cost}`,
    ...(movedFrom === undefined
      ? []
      : [colors.dim(`               moved here from ${movedFrom}, where it would be single-stepped`)]),
    ...(pastLoads === true
      ? [colors.dim('               past loads: a pass that faults at one of them is not a hit')]
      : []),
    ...(cheaper === undefined
      ? []
      : [
          colors.dim(
            `               --cheap: a microsecond at ${cheaper}, past loads; a pass that faults there would not be a hit`,
          ),
        ]),
  ];
  if (site.condition !== undefined) {
    lines.push(...renderCondition(site.condition));
  }
  lines.push(...site.captures.map(renderCapture));
  if (site.variables.length > 0) {
    lines.push('  variables');
    lines.push(...site.variables.map((variable) => `    ${renderVariable(variable)}`));
  }
  const { count: ranges, expectedBytes, mostBytes } = site.ranges;
  lines.push(
    `  captures     ${plural(ranges, 'range')}, about ${bytesText(expectedBytes)}, at most ${bytesText(mostBytes)}`,
  );
  lines.push(...site.cuts.map((cut) => `  ${colors.yellow(`left out: ${clean(cut)}`)}`));
  return lines.join('\n');
}

function renderCondition({ text, runsIn, listing, parts = [] }: ConditionExplanation): string[] {
  const own = listing === '' ? [] : [colors.dim(`               ${listing}`)];
  if (runsIn === 'kernel') return [`  condition    ${clean(text)}   decided in the kernel`, ...own];
  const lines = parts.map((part) =>
    part.runsIn === 'kernel'
      ? `    ${clean(part.text)}   decided in the kernel`
      : `    ${clean(part.text)}   decided in the agent: ${clean(part.reason ?? '')}`,
  );
  return [`  condition    ${clean(text)}`, ...lines, ...own];
}

function renderCapture(capture: CaptureOutcome): string {
  const { expression, type, absent } = capture;
  const problem =
    absent === undefined ? '' : `  ${colors.yellow(`<${absent.reason}: ${clean(absent.detail)}>`)}`;
  return `  capture      ${clean(expression)} ${colors.dim(clean(type))}${problem}`;
}

function renderVariable(variable: VariableExplanation): string {
  const where =
    variable.where ??
    colors.yellow(`<${variable.absent?.reason ?? 'absent'}: ${clean(variable.absent?.detail ?? '')}>`);
  const kind = variable.parameter ? 'parameter' : 'local';
  return `${colors.cyan(clean(variable.name))} ${colors.dim(`${clean(variable.type)}, ${kind} of ${clean(variable.function)}`)}  ${where}`;
}

function renderDropped(dropped: readonly DroppedSite[]): string {
  const lines = dropped.map(
    ({ address, function: name, reason }) => `  ${address}  ${clean(name)}: ${clean(reason)}`,
  );
  return `${colors.yellow('not probed')}\n${lines.join('\n')}`;
}
