/** The ranges of one site: what was asked for first, then parameters and locals of its frame, all followed to the depth. */
import { type Absent, isAbsent } from '../../format/absent.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { Limits } from '../../format/limits.js';
import type { PlanRange } from '../../format/plan/plan.js';
import { dwarfRsp } from '../../format/registers/x86-64.js';
import { checkExpression } from '../expression/check.js';
import { inText } from '../expression/in-text.js';
import { Collector } from '../expression/collect.js';
import type { Unlowered } from '../expression/lower.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { sizeOf } from '../types/layout.js';
import { rootPath } from '../types/path.js';
import { typeName } from '../types/type-name.js';
import type { ConditionPart } from './condition.js';
import { constantLength, type Draft, type Drafts } from './draft.js';
import { Follower, shownSize } from './follow.js';
import type { Site } from './site.js';

export interface CaptureOptions {
  readonly limits: Limits;
  readonly depth: number;
  readonly stackBytes: number;
}

/** What became of an expression that was to be captured. */
export interface CaptureOutcome {
  readonly expression: string;
  readonly type: string;
  /** Why nothing of it can be collected at this site. */
  readonly absent?: { readonly reason: Absent['absent']; readonly detail: string };
}

/** What is asked for by name: the captures, and what the condition reads, so that the snapshot shows why it held. */
export interface AskedFor {
  readonly ranges: readonly PlanRange[];
  readonly outcomes: readonly CaptureOutcome[];
  /** Why the agent would not have what it is to decide on. */
  readonly undecidable?: Unlowered;
}

/** Throws `bad-expression` for a capture that does not parse or check; what a probe cannot collect is an outcome. */
export function collectAskedFor(
  site: Site,
  captures: readonly string[],
  condition: readonly Pick<ConditionPart, 'node' | 'runsIn'>[],
  options: CaptureOptions,
): AskedFor {
  const { limits, depth, stackBytes } = options;
  const collector = new Collector(site, {
    limits,
    isCovered: (variable) => isCovered(site, variable, stackBytes),
  });
  let undecidable: Unlowered | undefined;
  // What the agent decides on comes before all else.
  for (const { node, runsIn } of condition) {
    if (runsIn === 'agent') undecidable ??= collector.local(node, 0);
  }
  const outcomes = captures.map((expression): CaptureOutcome => {
    const node = inText(expression, () => checkExpression(expression, site.names));
    const failed = collector.capture(node, depth);
    return {
      expression,
      type: typeName(node.type),
      ...(failed === undefined
        ? {}
        : { absent: { reason: failed.absent?.absent ?? 'unsupported', detail: failed.unsupported } }),
    };
  });
  for (const { node, runsIn } of condition) if (runsIn === 'kernel') collector.local(node, 0);
  return { ranges: collector.ranges, outcomes, ...(undecidable === undefined ? {} : { undecidable }) };
}

/** Adds the parameters and locals of the physical frame, the levels that are inlined into it too. */
export function collectLocals(site: Site, drafts: Drafts, options: CaptureOptions): void {
  const { limits, depth, stackBytes } = options;
  const follower = new Follower(drafts, limits);
  for (const variable of site.stack.flatMap((level) => level.scope?.variables ?? [])) {
    const location = site.variableLocation(variable);
    if (isAbsent(location)) continue;
    const type = variable.type();
    const path = rootPath(variable.name);
    const address = location.expression;
    if (location.kind === 'value') {
      follower.addPointer(address, type, path, depth);
      continue;
    }
    const size = shownSize(type, limits);
    const range =
      size === undefined || size === 0 || isInStackWindow(address, size, stackBytes)
        ? undefined
        : addFixed(drafts, variable.name, address, size);
    follower.addObject({ type, path, depth, address, ...(range === undefined ? {} : { range }) });
  }
  follower.run();
}

function addFixed(drafts: Drafts, path: string, address: Uint8Array, size: number): Draft | undefined {
  return drafts.add(undefined, {
    path,
    address,
    absolute: address,
    length: constantLength(size),
    maxBytes: size,
    untilNul: false,
    expectedBytes: size,
  });
}

function isCovered(site: Site, variable: VariableSymbol, stackBytes: number): boolean {
  const location = site.variableLocation(variable);
  const size = sizeOf(variable.type());
  return (
    !isAbsent(location) &&
    location.kind === 'address' &&
    size !== undefined &&
    isInStackWindow(location.expression, size, stackBytes)
  );
}

/** Below the stack pointer lies the red zone of leaf functions, which the stack window takes along. */
const redZoneBytes = 128;

/** Whether the stack window is sure to bring it: only offsets from the stack pointer itself say so. */
function isInStackWindow(address: Uint8Array, size: number, stackBytes: number): boolean {
  const operations = decodeExpression(address, { addressSize: 8, name: 'plan expression' });
  const [first, second] = operations;
  if (first?.code !== DW_OP.DW_OP_breg0 + dwarfRsp || operations.length > 2) return false;
  if (second !== undefined && second.code !== DW_OP.DW_OP_plus_uconst) return false;
  const offset = first.a + (second?.a ?? 0n);
  return offset >= -BigInt(redZoneBytes) && offset + BigInt(size) <= BigInt(stackBytes - redZoneBytes);
}
