import type { CompositeType } from '../type.js';

/** The minor number of the compiler that described a type: 95 of `rustc version 1.95.0`. */
export function releaseOf(type: CompositeType): number | undefined {
  const release = /rustc version 1\.(?<minor>\d+)\./.exec(type.origin?.producer?.() ?? '');
  const minor = release?.groups?.['minor'];
  return minor === undefined ? undefined : Number(minor);
}
