/** The source position of an address and what is visible there: one level for the function and one for each copy inlined into it. */
import type { LinkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { expressionAt } from '../dwarf/location-list.js';
import { toPc } from '../dwarf/sections.js';
import { type Block, innermostBlock } from './block.js';
import { goVariable, goVariableName } from './go-variables.js';
import { callSiteOf, returnAddressOf } from './call-site.js';
import type { ConcreteFunction, ModuleContext } from './module-context.js';
import type { CallSite, ExpressionUnit, Scope, SourceFrame, VariableSymbol } from './module-symbols.js';
import { once } from './once.js';
import { functionNameOf, isGo, nameOf, owner } from './origin.js';
import { makeVariable } from './variable.js';

interface Position {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export class SourceStacks {
  readonly #context: ModuleContext;
  readonly #callSites = new Map<number, Map<number, Die>>();

  constructor(context: ModuleContext) {
    this.#context = context;
  }

  at(address: LinkAddress): readonly SourceFrame[] {
    const pc = toPc(address);
    const unit = this.#context.unitAt(pc);
    const row = unit === undefined ? undefined : this.#context.lines(unit).positionAt(pc);
    let position: Position = row === undefined ? {} : positionOf(row.file, row.line, row.column);
    const concrete = this.#context.functionAt(pc);
    if (concrete === undefined) {
      const name = this.#context.elfSymbols.at(address)?.name;
      if (name === undefined && row === undefined) return [];
      const missing = unit === undefined ? undefined : this.#context.files.missing(unit);
      if (row === undefined) position = this.#goPosition(pc);
      const frame = { function: name ?? '', ...position, inlined: false };
      return [missing === undefined ? frame : { ...frame, absent: missing }];
    }
    const frames: SourceFrame[] = [];
    let blocks: Block[] = [];
    let block: Block | undefined = innermostBlock(this.#context.blocks(concrete).root, pc);
    for (; block !== undefined; block = block.parent) {
      blocks.push(block);
      if (block.kind === 'lexical') continue;
      const inlined = block.kind === 'inlined';
      frames.push(
        this.#frame(block.die, inlined, position, this.#scope(concrete, blocks, pc, position.line)),
      );
      if (inlined) position = this.#callPosition(block.die);
      blocks = [];
    }
    return frames;
  }

  #goPosition(pc: number): Position {
    const go = this.#context.elfSymbols.goFunctions;
    const found = go?.find(pc);
    return (found === undefined ? undefined : go?.position(found, pc)) ?? {};
  }

  #frame(die: Die, inlined: boolean, position: Position, scope: () => Scope): SourceFrame {
    return {
      function: functionNameOf(die) ?? '',
      ...position,
      inlined,
      get scope() {
        return scope();
      },
    };
  }

  /** Where the call stood that was inlined. */
  #callPosition(die: Die): Position {
    const file = die.size(DW_AT.call_file);
    return positionOf(
      file === undefined ? undefined : this.#context.path(die, file),
      die.size(DW_AT.call_line),
      die.size(DW_AT.call_column),
    );
  }

  /** `blocks`: innermost first, the function or inlined copy itself last. */
  #scope(
    concrete: ConcreteFunction,
    blocks: readonly Block[],
    pc: number,
    line: number | undefined,
  ): () => Scope {
    const context = this.#context;
    const variables = once(() => visibleVariables(context, concrete, blocks, line));
    const frameBase = once(() => this.#frameBase(concrete, pc));
    const unit = once((): ExpressionUnit => context.expressionUnit(concrete.die));
    return once(() => ({
      get variables() {
        return variables();
      },
      get frameBase() {
        return frameBase();
      },
      get unit() {
        return unit();
      },
      callSite: (returnAddress: LinkAddress) => this.#callSite(concrete, returnAddress),
    }));
  }

  /** One expression, or a list as gcc writes it for DWARF 2, which has no operation for the CFA. */
  #frameBase(concrete: ConcreteFunction, pc: number): Uint8Array | undefined {
    const die = owner(concrete.die, DW_AT.frame_base);
    return die === undefined ? undefined : expressionAt(die, DW_AT.frame_base, pc);
  }

  #callSite(concrete: ConcreteFunction, returnAddress: LinkAddress): CallSite | undefined {
    let sites = this.#callSites.get(concrete.die.key);
    if (sites === undefined) {
      sites = new Map();
      for (const die of this.#context.blocks(concrete).callSites) {
        const pc = returnAddressOf(die);
        if (pc !== undefined && !sites.has(pc)) sites.set(pc, die);
      }
      this.#callSites.set(concrete.die.key, sites);
    }
    const die = sites.get(toPc(returnAddress));
    return die === undefined ? undefined : callSiteOf(this.#context, die);
  }
}

function visibleVariables(
  context: ModuleContext,
  concrete: ConcreteFunction,
  blocks: readonly Block[],
  line: number | undefined,
): VariableSymbol[] {
  const variables: VariableSymbol[] = [];
  const seen = new Set<string>();
  const ofGo = isGo(concrete.die);
  for (const block of blocks) {
    for (const die of parametersFirst(block.variables)) {
      const own = nameOf(die);
      const name = own === undefined || !ofGo ? own : goVariableName(own);
      if (name === undefined) continue;
      const variable = makeVariable(context, die, {
        shadowed: seen.has(name),
        functionEntry: concrete.entry,
        isLocal: block.kind === 'lexical',
      });
      variables.push(ofGo ? goVariable(variable, die, line) : variable);
      // Blocks that say nothing of addresses belong to the one around them, with names that theirs may have too.
      seen.add(name);
    }
  }
  return variables;
}

function parametersFirst(dies: readonly Die[]): Die[] {
  const isParameter = (die: Die): boolean => die.tag === DW_TAG.formal_parameter;
  return [...dies.filter(isParameter), ...dies.filter((die) => !isParameter(die))];
}

function positionOf(
  file: string | undefined,
  line: number | undefined,
  column: number | undefined,
): Position {
  return {
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined || column === 0 ? {} : { column }),
  };
}
