/**
 * DW_OP_entry_value (DWARF5 2.5.1.7, 3.4): what a register held when the function was entered, as the call site in the caller's frame
 * tells. Only when that call site is sure to be the one that entered this frame: what it calls is this function, and the
 * function cannot have come back to itself by tail calls. gdb (dwarf2/loc.c) is as careful.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { runtimeAddress, toLink, toRuntime, type LinkAddress } from '../../format/address.js';
import type { ExpressionContext } from '../../format/dwarf-op/context.js';
import { evaluateTyped, evaluateValue } from '../../format/dwarf-op/evaluate.js';
import type { StackValue } from '../../format/dwarf-op/typed-value.js';
import type { CallSite, CallTarget, FunctionSymbol, Scope } from '../symbols/module-symbols.js';
import { evaluationOf, type EvaluationScope, type FrameEvaluation } from './located-frame.js';

/** Functions that one function can reach by tail calls. */
const maxTailCalls = 1000;

/** How an expression of a frame is evaluated there. */
export type ContextFor = (evaluation: FrameEvaluation, scope: EvaluationScope) => ExpressionContext;

/** Known ones: each is asked for again by every frame that it was passed on to. */
const known = new WeakMap<FrameEvaluation['frame'], Map<string, StackValue | Absent>>();

/**
 * What is asked of the call: the value of an argument by the location that it was passed in; what that argument points to
 * (DW_AT_call_data_value); or the value of a parameter by its key (DW_OP_GNU_parameter_ref).
 */
export type WantedValue =
  | { readonly kind: 'argument' | 'pointed-to'; readonly location: Uint8Array }
  | { readonly kind: 'parameter'; readonly key: number };

export function entryValue(
  evaluation: FrameEvaluation,
  wanted: WantedValue,
  contextFor: ContextFor,
): StackValue | Absent {
  const ofFrame = known.get(evaluation.frame) ?? new Map<string, StackValue | Absent>();
  known.set(evaluation.frame, ofFrame);
  const key = `${wanted.kind} ${wanted.kind === 'parameter' ? wanted.key : wanted.location.join(' ')}`;
  const value = ofFrame.get(key) ?? findEntryValue(evaluation, wanted, contextFor);
  ofFrame.set(key, value);
  return value;
}

/** NB: the caller's expressions may have entry values themselves; that ends, for each is one frame further out. */
function findEntryValue(
  evaluation: FrameEvaluation,
  wanted: WantedValue,
  contextFor: ContextFor,
): StackValue | Absent {
  const { snapshot, thread, index } = evaluation;
  const caller = evaluationOf(snapshot, thread, index + 1);
  if (caller === undefined) return unknown('the caller of the function has no debug information');
  const { foundBy } = caller.frame;
  if (foundBy !== 'call-frame' && foundBy !== 'tail-call')
    return unknown('the function was not entered by a call');
  const returnAddress = toLink(runtimeAddress(caller.frame.pc), caller.module.bias);
  const found = findCallSite(caller, returnAddress);
  if (found === undefined) return unknown('nothing is known of the call that entered the function');
  const { site, scope } = found;
  const context = contextFor(caller, { scope, unit: scope.unit });
  const problem = verifyTarget(evaluation, caller, site, context);
  if (problem !== undefined) return unknown(problem);
  const value = valueOf(site, wanted);
  if (value === undefined) return unknown('the call that entered the function does not tell what was passed');
  return evaluateTyped(value, context, snapshot.limits);
}

function valueOf(site: CallSite, wanted: WantedValue): Uint8Array | undefined {
  if (wanted.kind === 'parameter') return site.byParameter?.get(wanted.key);
  const found = site.parameters.find((each) => equalBytes(each.location, wanted.location));
  return wanted.kind === 'argument' ? found?.value : found?.dataValue;
}

function unknown(why: string): Absent {
  return absent('optimized-out', `it is what was passed when the function was entered, and ${why}`);
}

interface FoundSite {
  readonly site: CallSite;
  readonly scope: Scope;
}

function findCallSite(caller: FrameEvaluation, returnAddress: LinkAddress): FoundSite | undefined {
  for (const { scope } of caller.symbols.sourceStack(caller.address)) {
    const site = scope?.callSite(returnAddress);
    if (scope !== undefined && site !== undefined) return { site, scope };
  }
  return undefined;
}

/** Why the call site may not be the one that entered the frame; undefined when it is. */
function verifyTarget(
  evaluation: FrameEvaluation,
  caller: FrameEvaluation,
  site: CallSite,
  context: ExpressionContext,
): string | undefined {
  const callee = evaluation.symbols.functionAt(evaluation.address);
  if (callee?.entry === undefined) return 'the function has no known entry';
  // A tail caller has no frame but the one that was inferred from this very site.
  if (site.isTailCall !== (caller.frame.foundBy === 'tail-call')) return 'it was entered by a jump';
  if (site.target === undefined) return 'the call does not tell what it calls';
  const entry = toRuntime(callee.entry, evaluation.module.bias);
  if (site.target.kind === 'expression') {
    const target = evaluateValue(site.target.expression, context, caller.snapshot.limits);
    if (isAbsent(target)) return `what was called is not known: ${target.detail}`;
    if (target !== entry) return 'it was entered by a jump from another function';
  } else if (!entriesOf(caller, site.target).includes(entry))
    return 'it was entered by a jump from another function';
  return canComeBack(evaluation, callee) ? 'the function may have called itself by a jump' : undefined;
}

/** Runtime addresses of functions that a call by address or name can lead to. */
function entriesOf(from: FrameEvaluation, target: Exclude<CallTarget, { kind: 'expression' }>): bigint[] {
  if (target.kind === 'entry') return [toRuntime(target.address, from.module.bias)];
  return from.snapshot.modules.modules.flatMap((module) => {
    const symbols = module.symbols();
    if (isAbsent(symbols)) return [];
    const entries = symbols.functionsNamed(target.name).flatMap(({ entry }) => entry ?? []);
    const symbol = symbols.findSymbol(target.name)?.address;
    return [...entries, ...(symbol === undefined ? [] : [symbol])].map((entry) =>
      toRuntime(entry, module.bias),
    );
  });
}

/** Whether a function can reach itself by tail calls, or that cannot be ruled out. */
function canComeBack(evaluation: FrameEvaluation, start: FunctionSymbol): boolean {
  const seen = new Set<bigint>();
  const waiting: { function: FunctionSymbol; in: FrameEvaluation }[] = [{ function: start, in: evaluation }];
  const startEntry = start.entry === undefined ? undefined : toRuntime(start.entry, evaluation.module.bias);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const targets = next.function.tailCalls?.();
    if (targets === undefined || seen.size > maxTailCalls) return true;
    for (const target of targets) {
      if (target === undefined || target.kind === 'expression') return true;
      // A function with a part elsewhere (`.cold`): gdb takes that for a second function, of which it knows nothing.
      if (target.kind === 'entry' && (target.pieces?.length ?? 0) > 1) return true;
      const entries = entriesOf(next.in, target);
      if (entries.length === 0 || entries.some((entry) => entry === startEntry)) return true;
      for (const entry of entries.filter((each) => !seen.has(each))) {
        seen.add(entry);
        const reached = functionAt(evaluation, entry);
        // A function without debug information, as those of the C library are, may call anything.
        if (reached === undefined) return true;
        waiting.push(reached);
      }
    }
  }
  return false;
}

function functionAt(
  evaluation: FrameEvaluation,
  address: bigint,
): { function: FunctionSymbol; in: FrameEvaluation } | undefined {
  const module = evaluation.snapshot.modules.find(address);
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const link = toLink(runtimeAddress(address), module.bias);
  const found = symbols.functionAt(link);
  if (found === undefined) return undefined;
  return { function: found, in: { ...evaluation, module, symbols } };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
