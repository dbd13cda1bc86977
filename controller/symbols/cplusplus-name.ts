/**
 * Names of classes as the C++ ABI of Itanium mangles them: no more of it than is needed to find the class of a vtable (5.1). Names with template arguments
 * are not taken apart: they are compared as they are.
 */

/**
 * `shop::Circle` of `N4shop6CircleE`, without the tags of ABI versions; undefined where the name has template arguments, abbreviations or stands in a
 * function.
 */
export function plainClassName(encoding: string): string | undefined {
  const nested = /^N(.*)E$/.exec(encoding);
  const parts: string[] = [];
  let rest = nested?.[1] ?? encoding;
  if (rest.startsWith('St')) {
    parts.push('std');
    rest = rest.slice(2);
  }
  while (rest !== '') {
    const name = sourceName(rest);
    if (name === undefined) return undefined;
    parts.push(name.text === '_GLOBAL__N_1' ? '(anonymous namespace)' : name.text);
    rest = withoutTags(name.rest);
  }
  return parts.length === 0 ? undefined : parts.join('::');
}

/** How the names of functions begin that are members of the class. */
export function memberPrefixes(encoding: string): string[] {
  const nested = /^N(.*)E$/.exec(encoding);
  const local = /^Z.*E(?=\d)/.exec(encoding);
  if (local !== null) {
    const [scope] = local;
    const name = encoding.slice(scope.length);
    return ['N', 'NK'].map((start) => `_Z${scope}${start}${name}`);
  }
  return ['_ZN', '_ZNK'].map((start) => `${start}${nested?.[1] ?? encoding}`);
}

/** Whether what follows such a beginning is one name: that of a member, and not of something in a class within the class. */
export function isOneName(rest: string): boolean {
  if (/^[CD]\dE/.test(rest) || /^[a-z][a-zA-Z]E/.test(rest)) return true;
  const name = sourceName(rest);
  return name !== undefined && withoutTags(name.rest).startsWith('E');
}

function sourceName(text: string): { readonly text: string; readonly rest: string } | undefined {
  const digits = /^[1-9]\d{0,4}/.exec(text)?.[0];
  if (digits === undefined) return undefined;
  const end = digits.length + Number(digits);
  return end > text.length ? undefined : { text: text.slice(digits.length, end), rest: text.slice(end) };
}

function withoutTags(text: string): string {
  let rest = text;
  while (rest.startsWith('B')) {
    const tag = sourceName(rest.slice(1));
    if (tag === undefined) return rest;
    ({ rest } = tag);
  }
  return rest;
}
