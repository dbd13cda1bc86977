/** Names of Rust's types: `alloc::vec::Vec<i32, alloc::alloc::Global>`. */

/** The crate and the type, without the modules between and without arguments: `alloc::Vec`. Modules move from release to release. */
export function shortPath(name: string): string | undefined {
  const path = withoutArguments(name);
  const first = path.indexOf('::');
  if (first < 0) return undefined;
  return `${path.slice(0, first)}::${path.slice(path.lastIndexOf('::') + 2)}`;
}

/** What stands before the first bracket. */
export function withoutArguments(name: string): string {
  const bracket = name.indexOf('<');
  return bracket < 0 ? name : name.slice(0, bracket);
}

/** What a wide pointer points to: `str`, `[u8]`, `dyn Area`; undefined of what is no pointer. */
export function pointeeName(name: string): string | undefined {
  const pointer = /^(?:&(?:mut )?|\*(?:const|mut) |alloc::boxed::Box<)(?<pointee>.*)$/s.exec(name);
  return pointer?.groups?.['pointee'];
}

/** The last part of a path, without arguments: `Suspend0` of `main::run<u8>::{async_fn_env#0}<u8>::Suspend0`. */
export function lastPart(name: string): string {
  let depth = 0;
  for (let i = name.length - 1; i > 0; i--) {
    const at = name[i];
    if (at === '>' && name[i - 1] !== '-') depth++;
    else if (at === '<') depth--;
    else if (depth === 0 && at === ':' && name[i - 1] === ':') return withoutArguments(name.slice(i + 1));
  }
  return withoutArguments(name);
}
