/** Types that templates and generics became, as a person names them: `std::vector<int>`, `Box<Circle>`, or `Box` where there is one only. */
import type { LinkAddress } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { DW_AT } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import { wholeName } from './called.js';
import { KIND } from './file-names.js';
import type { NameIndex } from './name-index.js';
import { unqualified } from './qualified-name.js';
import { areStandardDefaults, canonicalName, matchName, type NamePart, nameParts } from './template-name.js';

/** Names of types that are looked through. */
const maxNames = 2_000_000;
/** Instances of one template that are compared. */
const maxInstances = 10_000;
/** Arguments of arguments that are looked up. */
const maxNesting = 8;
/** Names that a message lists. */
const maxCandidates = 10;

type Find = (name: string, from: LinkAddress | undefined) => Type | undefined;

export class TemplateFinder {
  readonly #names: NameIndex;
  readonly #find: Find;
  /** Names of types that have arguments, by what stands before these. */
  #instances: ReadonlyMap<string, readonly string[]> | undefined;
  #nesting = 0;

  constructor(names: NameIndex, find: Find) {
    this.#names = names;
    this.#find = find;
  }

  /** Definitions of the one type that is meant; throws where several are. */
  called(name: string, from: LinkAddress | undefined): readonly Die[] {
    const written = nameParts(canonicalName(name));
    const own = written.at(-1);
    if (own === undefined) return [];
    const isSame = this.#sameArgument(from);
    const found = new Map<string, Found>();
    for (const each of this.#instancesOf(own.name)) {
      // Most can be told by their own name, without a look at where they stand.
      if (matchName(nameParts(canonicalName(each)), [own], isSame) === undefined) continue;
      for (const die of this.#names.find(KIND.type, each)) {
        if (die.flag(DW_AT.declaration)) continue;
        const parts = nameParts(canonicalName(wholeName(die)));
        const match = matchName(parts, written, isSame);
        if (match === undefined) continue;
        const key = canonicalName(wholeName(die));
        const known = found.get(key);
        if (known === undefined) found.set(key, { parts, leftOut: match.leftOut, dies: [die] });
        else known.dies.push(die);
      }
    }
    return theOne(name, own, [...found.values()]);
  }

  #instancesOf(own: string): readonly string[] {
    this.#instances ??= groupedByTemplate(this.#names.names(KIND.type));
    return (this.#instances.get(own) ?? []).slice(0, maxInstances);
  }

  /** `std::string` is what it is another name for; `Circle` is `shapes::Circle`. */
  #sameArgument(from: LinkAddress | undefined): (whole: string, written: string) => boolean {
    const known = new Map<string, string | undefined>();
    return (whole, written) => {
      if (!known.has(written)) known.set(written, this.#spelled(written, from));
      return known.get(written) === whole;
    };
  }

  #spelled(written: string, from: LinkAddress | undefined): string | undefined {
    const found = /^((?:const )?(?:&(?:mut )?|\*(?:const|mut) )*)(.*?)([*&]*)$/.exec(written);
    const [, before = '', name = '', after = ''] = found ?? [];
    if (this.#nesting >= maxNesting || !/^[\p{ID_Start}_]/u.test(name)) return undefined;
    this.#nesting++;
    try {
      const type = this.#find(name, from);
      return type === undefined ? undefined : canonicalName(`${before}${typeName(stripType(type))}${after}`);
    } finally {
      this.#nesting--;
    }
  }
}

interface Found {
  readonly parts: readonly NamePart[];
  readonly leftOut: readonly string[];
  readonly dies: Die[];
}

function theOne(name: string, own: NamePart, found: readonly Found[]): readonly Die[] {
  const whole = found.filter(({ leftOut }) => leftOut.length === 0);
  const usual =
    own.arguments === undefined
      ? []
      : found.filter(({ parts, leftOut }) => areStandardDefaults(parts, leftOut));
  const fitting = whole.length > 0 ? whole : usual.length > 0 ? usual : found;
  if (fitting.length > 1) {
    throw severalTypes(
      name,
      fitting.flatMap(({ dies: [die] }) => (die === undefined ? [] : [wholeName(die)])),
    );
  }
  return fitting[0]?.dies ?? [];
}

function groupedByTemplate(names: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  let seen = 0;
  for (const name of names) {
    if (++seen > maxNames) break;
    const own = unqualified(name);
    const open = own.indexOf('<');
    if (open <= 0) continue;
    const bare = own.slice(0, open);
    const group = groups.get(bare);
    if (group === undefined) groups.set(bare, [name]);
    else group.push(name);
  }
  return groups;
}

export function severalTypes(name: string, wholes: readonly string[]): StillframeError {
  const candidates = wholes.slice(0, maxCandidates);
  return new StillframeError('bad-expression', `"${name}" can be one of ${wholes.length} types`, {
    hint: `say which: ${candidates.join(', ')}`,
    candidates,
  });
}
