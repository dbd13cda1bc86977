/**
 * Functions that are on no stack any more because their last call was a jump (DW_TAG_call_site with DW_AT_call_tail_call, DWARF5 3.4): between a
 * frame and the call that it returns to, the chain of tail callers that debug information leaves possible. Like gdb (dwarf2/loc.c,
 * call_site_find_chain): of several chains only what all of them begin and end with, and nothing where a target is not known.
 */
import { isAbsent } from '../../format/absent.js';
import { runtimeAddress, toLink, toRuntime } from '../../format/address.js';
import type { CallSite, CallTarget, FunctionSymbol, TailCallSite } from '../symbols/module-symbols.js';
import type { PhysicalFrame } from '../unwind/unwind.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot } from './open.js';

/** Call sites that are tried, over all chains. */
const maxSteps = 4096;

/** A function that left by a jump. */
export interface TailCaller {
  readonly module: SnapshotModule;
  /** Right after the jump. */
  readonly pc: bigint;
}

/** Between two neighbours of a stack, innermost first. */
export function tailCallersBetween(
  snapshot: Snapshot,
  callee: PhysicalFrame<SnapshotModule>,
  caller: PhysicalFrame<SnapshotModule>,
): readonly TailCaller[] {
  const wanted = callee.module?.functionStart(callee.lookupPc);
  const site = callSiteOf(caller);
  if (wanted === undefined || site === undefined || caller.module === undefined) return [];
  const search = new ChainSearch(snapshot, wanted);
  return search.find({ target: site.target, module: caller.module });
}

function callSiteOf({ module, pc, lookupPc }: PhysicalFrame<SnapshotModule>): CallSite | undefined {
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const returnAddress = toLink(runtimeAddress(pc), module.bias);
  for (const { scope } of symbols.sourceStack(toLink(runtimeAddress(lookupPc), module.bias))) {
    const site = scope?.callSite(returnAddress);
    if (site !== undefined) return site;
  }
  return undefined;
}

interface Jump {
  readonly target: CallTarget | undefined;
  readonly module: SnapshotModule;
}

interface PlacedSite extends TailCaller, Jump {}

/** What the chains that were found have in common: `callers` sites at the beginning and `callees` at the end of `sites`. */
interface Common {
  readonly sites: readonly PlacedSite[];
  readonly callers: number;
  readonly callees: number;
}

/** Nothing can be said: a target is not known, or the chains have nothing in common. */
class Unknown extends Error {}

class ChainSearch {
  readonly #snapshot: Snapshot;
  /** Entry of the function that is looked for. */
  readonly #wanted: bigint;
  readonly #chain: PlacedSite[] = [];
  readonly #entered = new Set<bigint>();
  #common: Common | undefined;
  #steps = 0;

  constructor(snapshot: Snapshot, wanted: bigint) {
    this.#snapshot = snapshot;
    this.#wanted = wanted;
  }

  find(from: Jump): readonly TailCaller[] {
    try {
      this.#follow(from);
    } catch (thrown) {
      if (thrown instanceof Unknown) return [];
      throw thrown;
    }
    return this.#common === undefined ? [] : innermostFirst(this.#common);
  }

  #follow(jump: Jump): void {
    const entries = this.#entriesOf(jump);
    if (entries.includes(this.#wanted)) {
      this.#candidate();
      return;
    }
    for (const entry of entries) {
      for (const site of this.#tailSites(entry)) {
        if (this.#entered.has(site.pc)) continue;
        if (++this.#steps > maxSteps) throw new Unknown();
        this.#entered.add(site.pc);
        this.#chain.push(site);
        this.#follow(site);
        this.#chain.pop();
        this.#entered.delete(site.pc);
      }
    }
  }

  #candidate(): void {
    const chain = [...this.#chain];
    const known = this.#common;
    if (known === undefined) {
      this.#common = { sites: chain, callers: chain.length, callees: chain.length };
      return;
    }
    const { sites } = known;
    const callers = equalFor(Math.min(known.callers, chain.length), (i) => sites[i]?.pc === chain[i]?.pc);
    const callees = equalFor(
      Math.min(known.callees, chain.length),
      (i) => sites.at(-1 - i)?.pc === chain.at(-1 - i)?.pc,
    );
    if (callers === 0 && callees === 0) throw new Unknown();
    this.#common = { sites, callers, callees };
  }

  /** Runtime addresses that a jump or call can lead to. */
  #entriesOf({ target, module }: Jump): readonly bigint[] {
    if (target?.kind === 'entry' && target.pieces !== undefined)
      return target.pieces.map((piece) => toRuntime(piece, module.bias));
    if (target?.kind !== 'name') throw new Unknown();
    for (const each of this.#snapshot.modules.modules) {
      const symbols = each.symbols();
      const symbol = isAbsent(symbols) ? undefined : symbols.findSymbol(target.name);
      if (symbol !== undefined) return [toRuntime(symbol.address, each.bias)];
    }
    throw new Unknown();
  }

  #tailSites(entry: bigint): PlacedSite[] {
    const module = this.#snapshot.modules.find(entry);
    const found = module === undefined ? undefined : functionAt(module, entry);
    if (module === undefined || found?.tailCallSites === undefined) throw new Unknown();
    if (found.entry === undefined || toRuntime(found.entry, module.bias) !== entry) throw new Unknown();
    return found.tailCallSites().map(({ returnAddress, target }: TailCallSite) => ({
      module,
      target,
      pc: toRuntime(returnAddress, module.bias),
    }));
  }
}

function functionAt(module: SnapshotModule, address: bigint): FunctionSymbol | undefined {
  const symbols = module.symbols();
  return isAbsent(symbols) ? undefined : symbols.functionAt(toLink(runtimeAddress(address), module.bias));
}

/** How many of the first `count` indexes pass. */
function equalFor(count: number, same: (index: number) => boolean): number {
  for (let i = 0; i < count; i++) if (!same(i)) return i;
  return count;
}

function innermostFirst({ sites, callers, callees }: Common): readonly TailCaller[] {
  const inner = sites.slice(sites.length - callees).toReversed();
  return callees === sites.length ? inner : [...inner, ...sites.slice(0, callers).toReversed()];
}
