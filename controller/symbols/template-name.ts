/**
 * Names with template or generic arguments, as compilers and people spell them: `vector<int, std::allocator<int> >` is called `std::vector<int>`. Pure: what a
 * written argument means beyond its text (`std::string`) the caller knows.
 */
import { spellingsOf } from './base-types.js';

/** One step of a path: `vector` with its arguments, each in its one spelling. */
export interface NamePart {
  readonly name: string;
  readonly arguments?: readonly string[];
}

/** How deep arguments may nest. */
const maxNesting = 64;

const tokens = /[\p{ID_Continue}$]+|::|->|\.\.\.|"[^"]*"|'[^']*'|\S/gu;

/** The one spelling of a name or type, so that texts can be compared: spaces, the place of `const`, the words of base types, suffixes of numbers. */
export function canonicalName(text: string): string {
  const words = text.match(tokens) ?? [];
  return new Canonical(words).sequence(0).join(', ');
}

class Canonical {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /** Up to a bracket that was not opened here: what commas part. */
  sequence(nesting: number): string[] {
    const items: string[] = [];
    let done = '';
    let run: string[] = [];
    const flush = (): void => {
      done += runText(run);
      run = [];
    };
    for (; this.#at < this.#words.length; this.#at++) {
      const word = this.#words[this.#at] ?? '';
      if (word === ')' || word === ']' || word === '>' || word === '}') break;
      const isJoined = run.at(-1)?.endsWith('::') === true;
      if (word === ',') {
        flush();
        items.push(done);
        done = '';
      } else if (word === '<' && run.length > 0 && nesting < maxNesting) {
        run.push(`${run.pop() ?? ''}<${this.#inner(nesting)}>`);
      } else if ((word === '(' || word === '[' || word === '{') && nesting < maxNesting) {
        flush();
        done += `${word}${this.#inner(nesting)}${this.#words[this.#at] ?? ''}`;
      } else if (word === '::') run.push(`${run.pop() ?? ''}::`);
      else if (/^[\p{ID_Continue}$]/u.test(word)) run.push(isJoined ? `${run.pop() ?? ''}${word}` : word);
      else {
        flush();
        done += word;
      }
    }
    flush();
    if (done !== '' || items.length > 0) items.push(done);
    return items;
  }

  #inner(nesting: number): string {
    this.#at++;
    return this.sequence(nesting + 1).join(', ');
  }
}

/** Words of one type: `int const` is `const int`, `long unsigned int` is `unsigned long`. */
function runText(run: readonly string[]): string {
  const qualifiers = run.filter((word) => word === 'const' || word === 'volatile').toSorted();
  const rest = run
    .filter((word) => word !== 'const' && word !== 'volatile')
    .map((word) => (/^\d/.test(word) ? word.replace(/[uUlL]+$/, '') : word));
  const spelled = rest.length === 0 ? undefined : spellingsOf(rest)?.at(-1);
  return [...qualifiers, ...(spelled === undefined ? rest : [spelled])].join(' ');
}

/** The steps of a canonical name: `std`, `vector` with `int`. */
export function nameParts(canonical: string): NamePart[] {
  const parts: NamePart[] = [];
  for (const text of splitOutside(canonical, '::')) {
    const open = text.indexOf('<');
    if (open <= 0 || !text.endsWith('>')) parts.push({ name: text });
    else {
      parts.push({
        name: text.slice(0, open),
        arguments: splitOutside(text.slice(open + 1, -1), ', '),
      });
    }
  }
  return parts;
}

/** Splits where no bracket is open. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const at = text[i] ?? '';
    if ('<([{'.includes(at)) depth++;
    else if ('>)]}'.includes(at)) depth--;
    else if (depth === 0 && text.startsWith(separator, i)) {
      parts.push(text.slice(from, i));
      i += separator.length - 1;
      from = i + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

/** Namespaces that a program does not write: inline ones, of the libraries' ABIs. */
const inlineNamespaces = /^(?:__\d+|__cxx11|__cxx1998|__debug|__ndk1|_V2)$/;

function withoutInline(parts: readonly NamePart[], written: readonly NamePart[]): readonly NamePart[] {
  const [first] = parts;
  if (first?.name !== 'std') return parts;
  return parts.filter(
    ({ name }) => !inlineNamespaces.test(name) || written.some((part) => part.name === name),
  );
}

export interface NameMatch {
  /** Arguments that the program's name has beyond those that were written. */
  readonly leftOut: readonly string[];
}

/**
 * Whether a whole name can be called by a written one: by the end of its path, with the last arguments left out. `isSame` is asked about arguments whose
 * texts differ. Undefined where it cannot.
 */
export function matchName(
  whole: readonly NamePart[],
  written: readonly NamePart[],
  isSame: (whole: string, written: string) => boolean,
): NameMatch | undefined {
  const path = withoutInline(whole, written);
  if (written.length > path.length) return undefined;
  const end = path.slice(path.length - written.length);
  let leftOut: readonly string[] = [];
  for (const [i, part] of written.entries()) {
    const found = end[i];
    if (found?.name !== part.name) return undefined;
    const known = found.arguments ?? [];
    const wanted = part.arguments ?? [];
    if (wanted.length > known.length || (part.arguments !== undefined && found.arguments === undefined)) {
      return undefined;
    }
    if (!wanted.every((each, j) => each === known[j] || isSame(known[j] ?? '', each))) return undefined;
    leftOut = known.slice(wanted.length);
  }
  return { leftOut };
}

const standardDefaults =
  /^(?:std::(?:\w+::)?(?:allocator|less|hash|equal_to|char_traits|default_delete)<.*>|std::(?:\w+::)?(?:deque|vector)<.*>|alloc::alloc::Global|std::(?:hash::random|collections::hash::map)::RandomState)$/;

/** Of a template of a standard library: what it has for arguments that nobody wrote. */
export function areStandardDefaults(whole: readonly NamePart[], leftOut: readonly string[]): boolean {
  const [library] = whole;
  return (
    library !== undefined &&
    ['std', 'alloc', 'core', 'hashbrown'].includes(library.name) &&
    leftOut.every((each) => standardDefaults.test(each))
  );
}
