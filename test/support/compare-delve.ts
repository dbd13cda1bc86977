/** Compares values of Go with delve's, element by element. */
import { GO_KIND } from '../../controller/types/go/kind.js';
import type { ValueDocument } from '../../controller/types/value-document.js';
import { hex } from '../../format/address.js';
import type { DelveVariable } from './delve.js';

export interface DelveTally {
  /** Scalars, strings and empty containers that are equal. */
  leaves: number;
  /** What delve has and we withhold, with our reason. */
  readonly withheld: string[];
  /** What delve does not say: below its depth, beyond its length. */
  readonly skipped: string[];
  readonly differences: string[];
}

export function newDelveTally(): DelveTally {
  return { leaves: 0, withheld: [], skipped: [], differences: [] };
}

const Invalid = 0;
const Bool = 1;
const Float32 = 13;
const Float64 = 14;
const Complex128 = 16;

export function compareWithDelve(
  ours: ValueDocument,
  theirs: DelveVariable,
  path: string,
  tally: DelveTally,
): void {
  if (theirs.unreadable !== '') {
    // It does not find its way through cores that gdb wrote of newer programs.
    if (theirs.unreadable.startsWith('error loading module data')) tally.skipped.push(path);
    else if (ours.absent === undefined)
      tally.differences.push(`${path}: delve cannot read it: ${theirs.unreadable}`);
    return;
  }
  if (ours.absent !== undefined && ours.absent.reason !== 'limit') {
    tally.withheld.push(`${path}: ${ours.absent.reason}: ${ours.absent.detail}`);
    return;
  }
  new Comparison(ours, theirs, path, tally).run();
}

class Comparison {
  readonly #ours: ValueDocument;
  readonly #theirs: DelveVariable;
  readonly #path: string;
  readonly #tally: DelveTally;

  constructor(ours: ValueDocument, theirs: DelveVariable, path: string, tally: DelveTally) {
    this.#ours = ours;
    this.#theirs = theirs;
    this.#path = path;
    this.#tally = tally;
  }

  run(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    switch (theirs.kind) {
      case Invalid:
        return this.#skip('nothing');
      case Bool:
        return this.#leaf(ours.value, theirs.value);
      case Float32:
        return this.#leaf(numberText(ours.value, true), numberText(theirs.value, true));
      case Float64:
        return this.#leaf(numberText(ours.value), numberText(theirs.value));
      case Float64 + 1:
      case Complex128:
        return this.#complex();
      case GO_KIND.String:
        return this.#string();
      case GO_KIND.Array:
      case GO_KIND.Slice:
        return this.#sequence();
      case GO_KIND.Map:
        return this.#map();
      case GO_KIND.Struct:
        return this.#struct();
      case GO_KIND.Pointer:
        return this.#pointer();
      case GO_KIND.UnsafePointer:
        return this.#leaf(ours.value, hex(BigInt(theirs.children[0]?.addr ?? 0)));
      case GO_KIND.Interface:
        return this.#interface();
      case GO_KIND.Chan:
        return this.#channel();
      case GO_KIND.Func:
        return this.#leaf(ours.value === '0x0' ? '' : ours.text, theirs.value);
      default:
        // An integer, perhaps with the name that a constant of its type has.
        return this.#leaf(ours.value, theirs.value.replace(/^.* \((-?\d+)\)$/, '$1'));
    }
  }

  #leaf(ours: string | undefined, theirs: string | undefined): void {
    if (ours === theirs) this.#tally.leaves++;
    else this.#tally.differences.push(`${this.#path}: ours ${ours ?? '?'}, delve ${theirs ?? '?'}`);
  }

  #skip(why: string): void {
    this.#tally.skipped.push(`${this.#path}: ${why}`);
  }

  #part(ours: ValueDocument | undefined, theirs: DelveVariable | undefined, name: string): void {
    const path = `${this.#path}${name}`;
    if (ours === undefined || theirs === undefined) {
      const who = ours === undefined ? 'we have' : 'delve has';
      this.#tally.differences.push(`${path}: ${who} nothing`);
    } else compareWithDelve(ours, theirs, path, this.#tally);
  }

  #complex(): void {
    const [real, imaginary] = this.#theirs.children.map((each) => Number(each.value));
    const parts = /^(.+?)([+-][^+-]+(?:e[+-]?\d+)?)i$/.exec(this.#ours.value ?? '');
    this.#leaf(`${Number(parts?.[1])} ${Number(parts?.[2])}`, `${real} ${imaginary}`);
  }

  #string(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    this.#leaf(String(ours.length), String(theirs.len));
    // JSON has no bytes that are no UTF-8, and a string is cut within a character.
    if (theirs.value.includes('\ufffd')) return this.#skip('no UTF-8');
    const wanted = theirs.value.length;
    this.#leaf(ours.text?.slice(0, wanted), theirs.value);
  }

  #sequence(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    this.#leaf(String(ours.length), String(theirs.len));
    for (const [i, each] of theirs.children.entries()) {
      if (i >= (ours.elements?.length ?? 0) && ours.absent?.reason === 'limit') break;
      this.#part(ours.elements?.[i], each, `[${i}]`);
    }
    if (theirs.children.length === 0 && theirs.len > 0) this.#skip('below the depth of delve');
  }

  #map(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    this.#leaf(String(ours.length), String(theirs.len));
    const [keyType, valueType] = (ours.elements?.[0]?.fields ?? []).map((field) => field.type);
    const pairs = new Map<string, { key: DelveVariable; value: DelveVariable }>();
    for (let i = 0; i + 1 < theirs.children.length; i += 2) {
      const [key, value] = theirs.children.slice(i, i + 2);
      if (key === undefined || value === undefined) continue;
      const inPlace = this.#inPlace(key, keyType);
      pairs.set(hex(BigInt(inPlace.addr)), { key: inPlace, value: this.#inPlace(value, valueType) });
    }
    this.#entries(pairs);
  }

  /** Delve shows what stands in the slots: pointers, where keys or values are large. */
  #inPlace(variable: DelveVariable, type: string | undefined): DelveVariable {
    const [target] = variable.children;
    const isBehind = variable.kind === GO_KIND.Pointer && type !== undefined && variable.type === `*${type}`;
    return isBehind && target !== undefined ? target : variable;
  }

  #entries(pairs: ReadonlyMap<string, { readonly key: DelveVariable; readonly value: DelveVariable }>): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    const whole = theirs.children.length === theirs.len * 2 && ours.elements?.length === theirs.len;
    for (const [i, pair] of (ours.elements ?? []).entries()) {
      const [key, value] = pair.fields ?? [];
      const found = pairs.get(key?.address ?? '');
      if (found === undefined && !whole) continue;
      this.#part(key, found?.key, `{${i}}`);
      this.#part(value, found?.value, `{${i}}=`);
    }
  }

  #struct(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    // An instant: delve says it in the value's own location and with the monotonic clock, but not its nanoseconds.
    if (theirs.type === 'time.Time' && theirs.value !== '')
      this.#leaf(ours.text?.replace(/(\.\d+)?Z$/, ''), theirs.value.replace(/Z?(, .*)?$/, ''));
    if (theirs.children.length === 0)
      return theirs.len === 0 ? this.#leaf('', '') : this.#skip('below the depth of delve');
    for (const each of theirs.children)
      this.#part(
        ours.fields?.find((field) => field.name === each.name),
        each,
        `.${each.name}`,
      );
  }

  #pointer(): void {
    const [target] = this.#theirs.children;
    if (target === undefined) return this.#skip('below the depth of delve');
    this.#leaf(this.#ours.value, hex(BigInt(target.addr)));
    if (target.addr === 0 || this.#ours.target === undefined) return;
    this.#part(this.#ours.target, target, '.*');
  }

  #interface(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    const [data] = theirs.children;
    if (data === undefined) return this.#skip('below the depth of delve');
    if (data.kind === Invalid) return this.#leaf(ours.text, 'nil');
    const [field] = ours.fields ?? [];
    if (field === undefined) return this.#leaf(ours.text, data.type);
    this.#leaf(field.type, data.type);
    this.#part(field, data, `.(${data.type})`);
  }

  #channel(): void {
    const [ours, theirs] = [this.#ours, this.#theirs];
    const field = (name: string): string | undefined =>
      theirs.children.find((child) => child.name === name)?.value;
    if (theirs.children.length === 0) return this.#leaf(ours.text, 'nil');
    this.#leaf(String(ours.length), field('qcount'));
    this.#leaf(ours.text, `{cap=${field('dataqsiz')}, closed=${field('closed')}}`);
  }
}

function numberText(text: string | undefined, single = false): string {
  const named: Readonly<Record<string, number>> = {
    nan: NaN,
    NaN,
    inf: Infinity,
    '+Inf': Infinity,
    '-inf': -Infinity,
    '-Inf': -Infinity,
  };
  const value = text === undefined ? undefined : (named[text] ?? Number(text));
  return value === undefined ? '?' : String(single ? Math.fround(value) : value);
}
