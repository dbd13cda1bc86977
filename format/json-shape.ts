/**
 * From foreign JSON to plain data of a known shape: every field is looked at, what is not known is refused, and so is what is too deep or too much. Data with
 * bigints has them as decimal strings ({@link toJson}).
 */
import { badData } from './error.js';

/** Reads one value, or throws bad data. */
export type Shape<T> = (from: unknown, at: JsonPlace) => T;

export interface JsonPlace {
  /** For errors: `walk.bucket.key`. */
  readonly path: string;
  readonly depth: number;
  /** Objects that may still come, of all together. */
  readonly left: { objects: number };
}

/** Of the shapes of an object's fields; of one that may be left out `{ optional }`. */
export type Fields<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K>
    ? { readonly optional: Shape<Exclude<T[K], undefined>> }
    : Shape<T[K]>;
};

const maxDepth = 32;
const maxObjects = 1024;

export function parseShape<T>(what: string, shape: Shape<T>, from: unknown): T {
  return shape(from, { path: what, depth: 0, left: { objects: maxObjects } });
}

export function object<T extends object>(fields: Fields<T>): Shape<T> {
  const shapes = Object.entries(fields) as [string, Shape<unknown> | { readonly optional: Shape<unknown> }][];
  const known = new Set(shapes.map(([name]) => name));
  return (from, at) => {
    const given = objectFrom(from, at);
    const unknown = Object.keys(given).find((name) => !known.has(name));
    if (unknown !== undefined)
      throw wrong(at, `has an unknown field ${JSON.stringify(unknown.slice(0, 40))}`);
    const made: Record<string, unknown> = {};
    for (const [name, shape] of shapes) {
      const below = { path: `${at.path}.${name}`, depth: at.depth + 1, left: at.left };
      if (typeof shape === 'function') made[name] = shape(own(given, name), below);
      else if (Object.hasOwn(given, name)) made[name] = shape.optional(own(given, name), below);
    }
    return made as T;
  };
}

/** One of several, told apart by a field that is text. */
export function oneOf<T extends object>(field: string, shapes: Readonly<Record<string, Shape<T>>>): Shape<T> {
  return (from, at) => {
    if (!isObject(from)) throw wrong(at, 'is no object');
    const given = own(from, field);
    const shape = typeof given === 'string' && Object.hasOwn(shapes, given) ? shapes[given] : undefined;
    if (shape === undefined) throw wrong({ ...at, path: `${at.path}.${field}` }, 'is none that is known');
    return shape(from, at);
  };
}

/** Of an array as long as `from` up to `to`. */
export function list<T>(shape: Shape<T>, { from: least, to: most }: Range): Shape<readonly T[]> {
  return (from, at) => {
    if (!Array.isArray(from) || from.length < least || from.length > most)
      throw wrong(at, `is no list of ${least} to ${most} entries`);
    return Array.from(from, (each: unknown, i) => shape(each, { ...at, path: `${at.path}[${i}]` }));
  };
}

/** Both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export function integer({ from: least, to: most }: Range): Shape<number> {
  return (from, at) => {
    if (typeof from !== 'number' || !Number.isSafeInteger(from) || from < least || from > most)
      throw wrong(at, `is no integer from ${least} to ${most}`);
    return from;
  };
}

export function literal<const T extends string | number | boolean>(...values: readonly T[]): Shape<T> {
  return (from, at) => {
    const found = values.find((value) => value === from);
    if (found === undefined) throw wrong(at, `is not ${values.join(' or ')}`);
    return found;
  };
}

export const flag: Shape<boolean> = literal(true, false);

/** A 64-bit integer in decimal, with or without a sign. */
export const integer64: Shape<bigint> = (from, at) => {
  const value = typeof from === 'string' && /^-?\d{1,20}$/.test(from) ? BigInt(from) : undefined;
  if (value === undefined || value < -(1n << 63n) || value >= 1n << 64n)
    throw wrong(at, 'is no 64-bit integer in decimal');
  return value;
};

/** What JSON can say: bigints become decimal strings. */
export function toJson(data: object): unknown {
  return JSON.parse(jsonText(data));
}

function jsonText(data: object): string {
  return JSON.stringify(data, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
}

/** As bytes of UTF-8. */
export function encodeJson(data: object): Uint8Array {
  return new TextEncoder().encode(jsonText(data));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What bytes that somebody else sent say, where they are no more than `maxBytes` and JSON at all. */
export function decodeJson(what: string, bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes)
    throw badData(`cannot read ${what}: it has ${bytes.length} bytes, and may have ${maxBytes}`);
  try {
    return JSON.parse(strictUtf8.decode(bytes));
  } catch (cause) {
    throw badData(`cannot read ${what}: it is no JSON`, { cause });
  }
}

export function wrong(at: JsonPlace, why: string): Error {
  return badData(`cannot read ${at.path}: it ${why}`);
}

function objectFrom(from: unknown, at: JsonPlace): object {
  if (!isObject(from)) throw wrong(at, 'is no object');
  if (at.depth > maxDepth) throw wrong(at, `is nested deeper than ${maxDepth}`);
  if (at.left.objects-- <= 0) throw wrong(at, `has more than ${maxObjects} parts around it`);
  return from;
}

function isObject(from: unknown): from is object {
  return typeof from === 'object' && from !== null && !Array.isArray(from);
}

function own(from: object, name: string): unknown {
  return Object.hasOwn(from, name) ? (from as Readonly<Record<string, unknown>>)[name] : undefined;
}
