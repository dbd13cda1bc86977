/** Whether a decimal of ours and one of gdb's are the same number of a floating type: gdb prints 9, 17, 18 or 36 digits, we the shortest. */
import type { ValueDocument } from '../../controller/types/value-document.js';

export function sameFloat(ours: ValueDocument, theirs: string): boolean {
  return ours.value !== undefined && sameNumber(ours.value, theirs, ours.type);
}

export function sameComplex(ours: ValueDocument, theirs: string): boolean {
  const mine = /^(.*[^e])([+-][^+-]*(?:e[+-]\d+)?)i$/.exec(ours.value ?? '');
  const other = /^(.*) \+ (.*)i$/.exec(theirs);
  if (mine === null || other === null) return false;
  const [, real = '', imaginary = ''] = mine;
  const [, re = '', im = ''] = other;
  return sameNumber(real, re, ours.type) && sameNumber(imaginary.replace(/^\+(?!-)/, ''), im, ours.type);
}

function sameNumber(mine: string, theirs: string, type: string): boolean {
  if (mine.includes('nan') || theirs.includes('nan')) return mine.includes('nan') && theirs.includes('nan');
  if (mine.includes('inf') || theirs.includes('inf')) return mine === theirs;
  if (mine.startsWith('-') !== theirs.startsWith('-')) return false;
  const a = decimal(mine);
  const b = decimal(theirs);
  if (a === undefined || b === undefined) return mine === theirs;
  const printed = b.digits.toString().replace('-', '').length;
  if (printed <= 9 && Math.fround(Number(mine)) === Math.fround(Number(theirs)) && finite(mine)) return true;
  if (printed <= 17 && Number(mine) === Number(theirs) && finite(mine)) return true;
  // Wider than any number here: half of the distance to the next one, and what gdb's rounding adds.
  const bits = /16/.test(type) ? 10n : printed <= 21 ? 63n : 112n;
  const exponent = Math.min(a.exponent, b.exponent);
  if (Math.max(a.exponent, b.exponent) - exponent > 12_000) return false;
  const x = a.digits * 10n ** BigInt(a.exponent - exponent);
  const y = b.digits * 10n ** BigInt(b.exponent - exponent);
  const difference = magnitude(x - y);
  // The smallest long double is 3.6e-4951: below the normal ones, neighbours are no closer.
  if (exponent < -4900 && difference <= 4n * 10n ** BigInt(Math.max(0, -4951 - exponent))) return true;
  return difference << bits <= magnitude(y);
}

/** Out of a double's range, the text must be looked at. */
function finite(text: string): boolean {
  return Number.isFinite(Number(text)) && (Number(text) !== 0 || /^-?0(\.0*)?$/.test(text));
}

function magnitude(number: bigint): bigint {
  return number < 0n ? -number : number;
}

function decimal(text: string): { digits: bigint; exponent: number } | undefined {
  const match = /^(-?)(\d+)(?:\.(\d*))?(?:e([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  return { digits: BigInt(`${sign}${whole}${fraction}`), exponent: Number(exponent) - fraction.length };
}
