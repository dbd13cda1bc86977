/** What a name can be short for in the code at hand: in C++ of its class and namespaces, in Rust of its crate and module, in Go of its package or one that it imports. */
import { StillframeError } from '../../format/error.js';
import { scopesOf } from '../symbols/called.js';
import type { ViewLanguage } from '../types/language.js';

export interface Surroundings {
  readonly language: ViewLanguage | undefined;
  /** The function that the code is in, with all that it stands in. */
  readonly function: string | undefined;
  /** Paths of Go's packages. */
  readonly packages: () => readonly string[];
}

/** Finds by each whole name that is meant in turn, innermost first. Throws where packages of one name have it. */
export function findInScopes<T>(
  name: string,
  around: Surroundings,
  find: (whole: string) => T | undefined,
): T | undefined {
  if (around.language === 'go') return findOfGo(name, around, find);
  const written = around.language === 'rust' ? wholeOfRust(name, around.function) : name;
  for (const scope of scopesOf(around.function ?? '')) {
    const found = find(`${scope}${written}`);
    if (found !== undefined) return found;
  }
  return find(written);
}

/** `crate::module::f`, `self::f`, `super::f`. */
function wholeOfRust(name: string, from: string | undefined): string {
  const [first, ...rest] = name.split('::');
  const [module, outer] = scopesOf(from ?? '');
  if (rest.length === 0 || from === undefined) return name;
  if (first === 'crate') return [from.split('::')[0], ...rest].join('::');
  if (first === 'self' && module !== undefined) return `${module}${rest.join('::')}`;
  return first === 'super' && outer !== undefined ? `${outer}${rest.join('::')}` : name;
}

/** `example.com/log` of `example.com/log.(*Entry).Write`. */
export function packageOf(functionName: string): string {
  const dot = functionName.indexOf('.', functionName.lastIndexOf('/') + 1);
  return dot < 0 ? '' : functionName.slice(0, dot);
}

function findOfGo<T>(
  name: string,
  around: Surroundings,
  find: (whole: string) => T | undefined,
): T | undefined {
  const [, prefix = '', rest = ''] = /^((?:\[\]|\*)*)(.*)$/.exec(name) ?? [];
  const own = rest.includes('.') ? undefined : `${prefix}${packageOf(around.function ?? '')}.${rest}`;
  const found = (own === undefined ? undefined : find(own)) ?? find(name);
  if (found !== undefined || own !== undefined) return found;
  const dot = rest.indexOf('.');
  const short = rest.slice(0, dot);
  if (short.includes('/')) return undefined;
  const several = around
    .packages()
    .filter((path) => path.endsWith(`/${short}`))
    .flatMap((path) => {
      const each = find(`${prefix}${path}${rest.slice(dot)}`);
      return each === undefined ? [] : [{ path, found: each }];
    });
  if (several.length > 1) {
    const candidates = several.map(({ path }) => `"${path}"${rest.slice(dot)}`);
    throw new StillframeError('bad-expression', `"${name}" can be of one of ${several.length} packages`, {
      hint: `say which: ${candidates.join(', ')}`,
      candidates,
    });
  }
  return several[0]?.found;
}
