/** Texts of a hit: no more is read than decides, as the kernel and the evaluator of expressions do it. */
import { absent, isAbsent, type Absent } from '../absent.js';
import { compileRegularExpression, type RegularExpression } from '../regular-expression.js';
import type { MemoryReader } from '../memory.js';
import { defaultLimits } from '../limits.js';
import { decodeUtf8 } from '../bytes.js';
import type { RunningDecision } from './decide.js';
import type { Text, TextCell, TextsCell } from './decision.js';
import { compareText, maxSearchedBytes } from './text.js';

/** Bytes of a text that are looked at in one step. */
const bytesOfStep = 64;

const compiledPatterns = new WeakMap<TextCell, RegularExpression>();

/** Undefined where there is none, or none that can be used. */
export function patternOf(cell: TextCell): RegularExpression | undefined {
  if (cell.operator !== 'matches') return undefined;
  let pattern = compiledPatterns.get(cell);
  if (pattern === undefined) {
    const compiled = compileRegularExpression(decodeUtf8(cell.literal), { dotAll: true });
    if ('invalid' in compiled) return undefined;
    pattern = compiled;
    compiledPatterns.set(cell, pattern);
  }
  return pattern;
}

export function decideText(cell: TextCell, run: RunningDecision): boolean | Absent {
  const { operator, literal, unitBytes, text } = cell;
  const pattern = patternOf(cell);
  const compare = (subject: Uint8Array): boolean | Absent => {
    const work = (subject.length / bytesOfStep) * (pattern?.programSize() ?? 1);
    const over = run.steps.take(work);
    if (over !== undefined) return over;
    const holds = compareText(operator, subject, literal, pattern, unitBytes);
    // It keeps the states that texts led it through.
    pattern?.reset();
    return holds;
  };
  if (text.from === 'comm') return compare(new TextEncoder().encode(run.comm).subarray(0, 15));
  const whole = operator === 'contains' || operator === 'matches';
  if (text.length === undefined) {
    const most = whole ? undefined : literal.length + (operator === 'startsWith' ? 0 : 1);
    const subject = terminatedText(text, run, { most, literal });
    return isAbsent(subject) ? subject : compare(subject);
  }
  const units = run.integer(text.length);
  if (isAbsent(units)) return units;
  const size = units * BigInt(unitBytes);
  if ((operator === '==' || operator === '!=') && size !== BigInt(literal.length)) return operator === '!=';
  if (operator === 'startsWith' && size < BigInt(literal.length)) return false;
  const wanted = whole ? size : BigInt(literal.length);
  if (wanted > BigInt(maxSearchedBytes)) return tooLong(text.path, maxSearchedBytes);
  if (wanted === 0n) return compare(new Uint8Array());
  const address = run.integer(text.address);
  if (isAbsent(address)) return address;
  const read = readSome(run.memory, address, Number(wanted));
  if (isAbsent(read)) return missing(read, text.path);
  if (read.bytes.length === Number(wanted)) return compare(read.bytes);
  // What is not there does not matter behind the first byte that differs.
  if (!whole && read.bytes.some((byte, i) => byte !== literal[i])) return operator === '!=';
  return missing(read.rest, text.path);
}

export function decideTexts(cell: TextsCell, run: RunningDecision): boolean | Absent {
  const { operator, left, right, unitBytes } = cell;
  const length = run.integer(left.length);
  if (isAbsent(length)) return length;
  const other = run.integer(right.length);
  if (isAbsent(other)) return other;
  if (length !== other) return operator === '!=';
  const size = length * BigInt(unitBytes);
  if (size === 0n) return operator === '==';
  if (size > BigInt(maxSearchedBytes)) return tooLong(left.path, maxSearchedBytes);
  const over = run.steps.take(Number(size) / bytesOfStep);
  if (over !== undefined) return over;
  const sides: Uint8Array[] = [];
  for (const { address, path } of [left, right]) {
    const at = run.integer(address);
    if (isAbsent(at)) return at;
    const read = run.memory.read(at, Number(size));
    if (isAbsent(read)) return missing(read, path);
    sides.push(read.bytes);
  }
  const [a = new Uint8Array(), b = new Uint8Array()] = sides;
  return compareText(operator, a, b);
}

/** Up to its NUL, or as far as decides: `most` bytes, or to the first that differs from the literal. */
function terminatedText(
  text: Text & { readonly from: 'memory' },
  run: RunningDecision,
  { most, literal }: { readonly most: number | undefined; readonly literal: Uint8Array },
): Uint8Array | Absent {
  const { path } = text;
  const address = run.integer(text.address);
  if (isAbsent(address)) return address;
  const capacity = text.capacity === undefined ? undefined : run.integer(text.capacity);
  if (isAbsent(capacity)) return capacity;
  if (capacity !== undefined && BigInt.asIntN(64, capacity) < 0n) {
    return absent('limit', `${path} would have ${BigInt.asIntN(64, capacity)} elements`);
  }
  const bound = most ?? defaultLimits.maxStringBytes;
  const wanted = capacity !== undefined && capacity < BigInt(bound) ? Number(capacity) : bound;
  if (wanted === 0) return new Uint8Array();
  const read = readSome(run.memory, address, wanted);
  if (isAbsent(read)) return missing(read, path);
  const { bytes } = read;
  const nul = bytes.indexOf(0);
  if (nul >= 0) return bytes.subarray(0, nul);
  if (most !== undefined) {
    const differs = bytes.findIndex((byte, i) => byte !== literal[i]);
    if (differs >= 0) return bytes.subarray(0, differs + 1);
  }
  if (bytes.length < wanted) return missing(read.rest, path);
  // Without an end within what is looked at of any string.
  const isCut = most === undefined && (capacity === undefined || capacity > BigInt(wanted));
  return isCut ? tooLong(path, wanted) : bytes;
}

interface SomeBytes {
  readonly bytes: Uint8Array;
  /** Why there are fewer than were wanted. */
  readonly rest: Absent;
}

/** As far as they are there at a stretch, at least one. */
function readSome(memory: MemoryReader, address: bigint, wanted: number): SomeBytes | Absent {
  const all = memory.read(address, wanted);
  if (!isAbsent(all)) return { bytes: all.bytes, rest: absent('limit', 'nothing is missing') };
  if (all.address === undefined || all.address <= address) return all;
  const length = all.address - address;
  if (length >= BigInt(wanted)) return all;
  const some = memory.read(address, Number(length));
  return isAbsent(some) ? some : { bytes: some.bytes, rest: all };
}

function tooLong(path: string, bytes: number): Absent {
  return absent('limit', `${path} is longer than ${bytes} bytes`);
}

function missing(why: Absent, path: string): Absent {
  return { ...why, detail: `${path}: ${why.detail}` };
}
