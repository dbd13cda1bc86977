/** What a plan will do, as data: every address, what is where there, what a hit collects and costs. */
import { type Absent, isAbsent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import { listDecision } from '../../format/decision/list.js';
import { listExpression } from '../../format/dwarf-op/list.js';
import type { AbsentReason } from '../../format/absent.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { typeName } from '../types/type-name.js';
import { instructionAt } from './boundary.js';
import type { CaptureOutcome } from './capture.js';
import type { PlannedCondition } from './condition.js';
import { describeLocation } from './describe-location.js';
import type { Drafts } from './draft.js';
import type { InstructionGroup } from '../../format/x86-64/instruction.js';
import type { Site } from './site.js';

export interface Explanation {
  readonly location: string;
  readonly module: { readonly path: string; readonly buildId: string };
  readonly sites: readonly SiteExplanation[];
  /** Of a watch, which has no sites. */
  readonly watch?: WatchExplanation;
  /** Addresses of the location that are not probed, and why. */
  readonly dropped: readonly DroppedSite[];
  readonly stackBytes: number;
  /** What one hit brings at most, whatever its ranges say. */
  readonly maxBytes: number;
}

export interface WatchExplanation {
  readonly expression: string;
  readonly type: string;
  readonly bytes: number;
  readonly onlyChanges: boolean;
  /** How its address is computed, once, when it is armed. */
  readonly listing: string;
  readonly condition?: { readonly text: string; readonly listing: string };
  readonly captures: readonly CaptureOutcome[];
}

export interface DroppedSite {
  readonly address: string;
  readonly function: string;
  readonly reason: string;
}

export interface SiteExplanation {
  /** Link address, hex. */
  readonly address: string;
  readonly function: string;
  readonly file?: string;
  readonly line?: number;
  readonly inlined: boolean;
  /** The functions that it is inlined into, innermost first; the last is the one that has the code. */
  readonly inlinedInto: readonly string[];
  /** The point was moved from the function's first instruction to behind its prologue. */
  readonly afterPrologue: boolean;
  /** Link address, hex: what the location means, where a probe would cost more; what runs from there to `address` changes nothing that could be seen. */
  readonly movedFrom?: string;
  /** Loads lie between the two: a pass that faults at one is not a hit. */
  readonly pastLoads?: boolean;
  /** Link address, hex: where a hit would cost less, past loads. */
  readonly cheaper?: string;
  readonly instruction: InstructionExplanation;
  readonly condition?: ConditionExplanation;
  readonly captures: readonly CaptureOutcome[];
  readonly variables: readonly VariableExplanation[];
  readonly ranges: { readonly count: number; readonly expectedBytes: number; readonly mostBytes: number };
  /** What the limits kept out, for people. */
  readonly cuts: readonly string[];
}

export interface ConditionExplanation {
  readonly text: string;
  readonly runsIn: 'kernel' | 'agent' | 'kernel and agent';
  /** Of the part that runs in the kernel; empty where none does. */
  readonly listing: string;
  /** Where a part of it is decided by the agent: what is joined by `&&`, and where each part runs. */
  readonly parts?: readonly {
    readonly text: string;
    readonly runsIn: 'kernel' | 'agent';
    /** Why not in the kernel. */
    readonly reason?: string;
  }[];
  /** Of the agent's part: its cells. */
  readonly decision?: readonly string[];
}

export interface InstructionExplanation {
  /** Hex, as they lie in memory; empty when it is not understood. */
  readonly bytes: string;
  readonly group: InstructionGroup | 'unknown';
  readonly probe: 'emulated' | 'single-stepped' | 'refused' | 'unknown';
  /** What a hit with a false condition costs the thread. */
  readonly cost: string;
}

export interface VariableExplanation {
  readonly name: string;
  readonly type: string;
  readonly parameter: boolean;
  /** The function that it belongs to: of an inlined stack, one of several. */
  readonly function: string;
  /** `in register rdi`, `on the stack`, …; undefined when it has no place here. */
  readonly where?: string;
  readonly absent?: { readonly reason: AbsentReason; readonly detail: string };
}

export interface SiteParts {
  readonly condition?: PlannedCondition;
  readonly captures: readonly CaptureOutcome[];
  readonly drafts: Drafts;
}

export function explainSite(site: Site, parts: SiteParts): SiteExplanation {
  const { frame, stack } = site;
  const level = frame === undefined ? 0 : stack.indexOf(frame);
  const { condition, captures, drafts } = parts;
  return {
    address: hex(site.address),
    function: site.function,
    ...(frame?.file === undefined ? {} : { file: frame.file }),
    ...(frame?.line === undefined ? {} : { line: frame.line }),
    inlined: site.inlined,
    inlinedInto: site.inlined ? stack.slice(level + 1).map((each) => each.function) : [],
    afterPrologue: site.afterPrologue,
    ...(site.movedFrom === undefined ? {} : { movedFrom: hex(site.movedFrom) }),
    ...(site.pastLoads === true ? { pastLoads: true } : {}),
    ...(site.cheaper === undefined ? {} : { cheaper: hex(site.cheaper) }),
    instruction: explainInstruction(site),
    ...(condition === undefined ? {} : { condition: explainCondition(condition) }),
    captures,
    variables: stack.flatMap((each) =>
      (each.scope?.variables ?? []).map((variable) => explainVariable(variable, each.function, site)),
    ),
    ranges: { count: drafts.ranges, expectedBytes: drafts.bytes, mostBytes: drafts.mostBytes },
    cuts: drafts.cuts,
  };
}

function explainCondition({ text, parts, kernel, agent }: PlannedCondition): ConditionExplanation {
  const listing = kernel === undefined ? '' : listExpression(kernel);
  if (agent === undefined) return { text, runsIn: 'kernel', listing };
  return {
    text,
    runsIn: kernel === undefined ? 'agent' : 'kernel and agent',
    listing,
    parts: parts.map((part) => ({
      text: part.text,
      runsIn: part.runsIn,
      ...(part.reason === undefined ? {} : { reason: part.reason }),
    })),
    decision: listDecision(agent),
  };
}

function explainVariable(variable: VariableSymbol, owner: string, site: Site): VariableExplanation {
  const { name, parameter } = variable;
  const about = { name, type: typeName(variable.type()), parameter, function: owner };
  const location = variable.locationAt(site.address);
  if (isAbsent(location)) return { ...about, absent: reasonOf(location) };
  const placed = site.variableLocation(variable);
  const where = describeLocation(location);
  return isAbsent(placed) && where === undefined
    ? { ...about, absent: reasonOf(placed) }
    : { ...about, ...(where === undefined ? {} : { where }) };
}

function reasonOf(cause: Absent): { readonly reason: AbsentReason; readonly detail: string } {
  return { reason: cause.absent, detail: cause.detail };
}

/** Measured on this project's machines, with a condition of one read: FACTS. */
const costs = {
  emulated: '0.5 to 1 us a hit: the kernel emulates the instruction',
  'single-stepped': '12 to 30 us a hit in a virtual machine: the kernel single-steps the instruction',
  refused: 'the kernel refuses to probe this instruction; only an engine that stops the thread can',
  unknown: 'unknown: the instruction is not understood',
} as const;

function explainInstruction(site: Site): InstructionExplanation {
  const found = instructionAt(site.symbols, site.address);
  if (found === undefined) return { bytes: '', group: 'unknown', probe: 'unknown', cost: costs.unknown };
  const { bytes, group, probe } = found;
  return { bytes: Buffer.from(bytes).toString('hex'), group, probe, cost: costs[probe] };
}
