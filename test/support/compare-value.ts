/** One value of ours and one of gdb's, leaf by leaf. Nothing is passed over in silence: what is not compared is counted with the reason. */
import { decodeText } from '../../controller/types/scalar.js';
import type { ValueDocument, VariableDocument } from '../../controller/types/value-document.js';
import type { GdbValue } from './gdb.js';
import { sameComplex, sameFloat } from './same-float.js';

export interface Tally {
  /** Leaves that both show. */
  compared: number;
  /** Leaves that neither shows. */
  absent: number;
  /** Ends of objects that no piece describes (clang writes none): gdb fills them up with zeros, which are no values. */
  padded: number;
  /** Leaves that gdb shows and we do not, with our reason. */
  readonly withheld: string[];
  /** Whatever else differs: values, values of ours where gdb has none, names, frames. */
  readonly differences: string[];
  /** What was not compared, and why. */
  readonly skipped: string[];
}

const undescribed = 'the compiler does not say where this part of it is';

export function newTally(): Tally {
  return { compared: 0, absent: 0, padded: 0, withheld: [], differences: [], skipped: [] };
}

export function compareValue(path: string, ours: ValueDocument, theirs: GdbValue, tally: Tally): void {
  if (theirs.skipped !== undefined) {
    tally.skipped.push(`${path}: ${theirs.skipped}`);
  } else if (theirs.absent !== undefined) {
    compareAbsent(path, ours, theirs.absent, tally);
    // A pointer to what is not in memory (DW_OP_implicit_pointer).
    if (theirs.target !== undefined && ours.target !== undefined)
      compareValue(`*${path}`, ours.target, theirs.target, tally);
    else if (theirs.target !== undefined || ours.target !== undefined)
      tally.differences.push(`*${path}: only ${ours.target === undefined ? 'gdb has' : 'we have'} a target`);
  } else if (theirs.fields !== undefined) {
    compareFields(path, ours, theirs.fields, tally);
  } else if (theirs.elements !== undefined) {
    compareElements(path, ours, theirs.elements, theirs.length, tally);
  } else if (theirs.void !== true) {
    compareLeaf(path, ours, theirs, tally);
  }
}

/** Nothing of ours may stand where gdb has nothing. */
function compareAbsent(path: string, ours: ValueDocument, why: string, tally: Tally): void {
  const found = firstValue(ours);
  if (found === undefined) tally.absent++;
  else tally.differences.push(`${path}: gdb ${why}, ours ${JSON.stringify(found).slice(0, 300)}`);
}

function firstValue(ours: ValueDocument): ValueDocument | undefined {
  if (ours.value !== undefined) return ours;
  for (const part of [...(ours.fields ?? []), ...(ours.elements ?? [])]) {
    const found = firstValue(part);
    if (found !== undefined) return found;
  }
  return ours.absent === undefined && ours.text !== undefined ? ours : undefined;
}

/** What is absent as a whole is absent in each of its parts. */
function partOf(ours: ValueDocument, part: ValueDocument | undefined): ValueDocument | undefined {
  if (part !== undefined) return part;
  return ours.absent === undefined ? undefined : { type: ours.type, kind: 'void', absent: ours.absent };
}

function compareFields(
  path: string,
  ours: ValueDocument,
  theirs: readonly (readonly [string | null, GdbValue])[],
  tally: Tally,
): void {
  // A reference to its field by place where several have no name, or one name.
  const names = theirs.map(([name]) => name ?? '');
  const own = (ours.fields ?? []).map((field) => field.name);
  if (ours.fields !== undefined && names.join('\n') !== own.join('\n'))
    tally.differences.push(`${path}: gdb has fields ${names.join(' ')}, ours ${own.join(' ')}`);
  for (const [i, [name, value]] of theirs.entries()) {
    const field = partOf(ours, ours.fields?.[i]);
    if (field === undefined) tally.differences.push(`${path}.${name}: no such field`);
    else compareValue(`${path}.${name}`, field, value, tally);
  }
}

function compareElements(
  path: string,
  ours: ValueDocument,
  theirs: readonly GdbValue[],
  length: number | undefined,
  tally: Tally,
): void {
  if (ours.absent === undefined && length !== ours.length)
    tally.differences.push(`${path}: gdb has ${length} elements, ours ${ours.length}`);
  for (const [i, value] of theirs.entries()) {
    const element = partOf(ours, ours.elements?.[i]);
    if (element === undefined) tally.differences.push(`${path}[${i}]: no such element`);
    else compareValue(`${path}[${i}]`, element, value, tally);
  }
  const text = textOf(theirs);
  if (
    text !== undefined &&
    ours.kind === 'array' &&
    ours.length !== undefined &&
    ours.elements?.every((element) => element.absent === undefined) === true &&
    /^(un|)(signed )?char \[/.test(ours.type) &&
    ours.text !== text
  )
    tally.differences.push(
      `${path}: gdb's characters are ${JSON.stringify(text)}, ours ${JSON.stringify(ours.text)}`,
    );
}

/** The text of an array of characters that gdb has all of. */
function textOf(elements: readonly GdbValue[]): string | undefined {
  const codes = elements.map(({ value }) => (value === undefined ? NaN : Number(value)));
  const end = codes.indexOf(0);
  const shown = end < 0 ? codes : codes.slice(0, end);
  if (shown.some(Number.isNaN) || (end < 0 && codes.length >= 100)) return undefined;
  return decodeText(Uint8Array.from(shown, (code) => code & 0xff));
}

function compareLeaf(path: string, ours: ValueDocument, theirs: GdbValue, tally: Tally): void {
  const isFunction = theirs.value === undefined && theirs.function !== undefined;
  // A string that is cut short has its pointer all the same.
  if (ours.absent !== undefined && ours.value === undefined) {
    const isZero = Number(theirs.value ?? theirs.float) === 0;
    if (isZero && ours.absent.detail === undescribed) tally.padded++;
    else tally.withheld.push(`${path}: ${ours.absent.reason}: ${ours.absent.detail}`);
    return;
  }
  tally.compared++;
  const differ = (what: unknown): void => {
    tally.differences.push(
      `${path}: gdb ${JSON.stringify(what)}, ours ${JSON.stringify(ours).slice(0, 400)}`,
    );
  };
  if (theirs.float !== undefined) {
    if (!sameFloat(ours, theirs.float)) differ(theirs.float);
  } else if (theirs.complex !== undefined) {
    if (!sameComplex(ours, theirs.complex)) differ(theirs.complex);
  } else if (!isFunction && normal(ours) !== theirs.value) {
    differ(theirs.value);
    return;
  }
  // NB: gdb prints the number of a 64-bit one that it has no name for as signed, whatever the type.
  const named =
    theirs.enumerator === undefined || /^-?\d+$/.test(theirs.enumerator) ? undefined : theirs.enumerator;
  if (theirs.enumerator !== undefined && ours.kind === 'enum' && ours.text !== named)
    differ(theirs.enumerator);
  if (theirs.function !== undefined && (ours.text ?? null) !== theirs.function) differ(theirs.function);
  if (theirs.string !== undefined) compareString(path, ours, theirs.string, tally);
  if (theirs.target !== undefined) {
    if (ours.target === undefined) tally.differences.push(`*${path}: gdb has a target, ours has none`);
    else compareValue(`*${path}`, ours.target, theirs.target, tally);
  }
}

function compareString(
  path: string,
  ours: ValueDocument,
  { bytes, cut }: { readonly bytes: string; readonly cut?: boolean },
  tally: Tally,
): void {
  const data = Buffer.from(bytes, 'hex');
  const isThere = data.length > 0 || cut !== true;
  const expected = isThere ? decodeText(data) : undefined;
  if (ours.text !== expected)
    tally.differences.push(
      `${path}: gdb's string is ${JSON.stringify(expected)}, ours ${JSON.stringify(ours.text)}`,
    );
  if (isThere && (ours.absent !== undefined) !== (cut === true))
    tally.differences.push(`${path}: gdb's string is ${cut === true ? '' : 'not '}cut, ours is otherwise`);
}

/** gdb's script prints booleans as integers. */
function normal(value: ValueDocument | VariableDocument): string | undefined {
  if (value.kind === 'bool')
    return value.value === 'true'
      ? (/stored as (\d+)/.exec(value.text ?? '')?.[1] ?? '1')
      : value.value === 'false'
        ? '0'
        : value.value;
  return value.value;
}
