/** What gdb prints of expressions, as documents like ours: the other opinion in tests of values. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ValueDocument, VariableDocument } from '../../controller/types/value-document.js';

export interface GdbDocument {
  readonly type?: string;
  readonly value?: string;
  readonly text?: string;
  readonly float?: string;
  readonly fields?: readonly (readonly [string | null, GdbDocument])[];
  readonly elements?: readonly GdbDocument[];
  readonly target?: GdbDocument;
  readonly error?: string;
}

const script = `
import json
import gdb

def plain(value, depth):
    kind = value.type.strip_typedefs().code
    if kind in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        fields = value.type.strip_typedefs().fields()
        return {"fields": [[f.name, show(value[f], depth)] for f in fields]}
    if kind == gdb.TYPE_CODE_ARRAY:
        low, high = value.type.strip_typedefs().range()
        return {"elements": [show(value[i], depth) for i in range(low, min(high, low + 99) + 1)]}
    if kind == gdb.TYPE_CODE_FLT:
        return {"float": value.format_string()}
    if kind == gdb.TYPE_CODE_COMPLEX:
        return {"text": value.format_string()}
    if kind == gdb.TYPE_CODE_BOOL:
        return {"value": "true" if int(value) != 0 else "false"}
    if kind == gdb.TYPE_CODE_ENUM:
        return {"value": str(int(value)), "text": value.format_string()}
    if kind == gdb.TYPE_CODE_PTR:
        result = {"value": hex(int(value) & 0xffffffffffffffff)}
        target = value.type.strip_typedefs().target().strip_typedefs()
        if int(value) == 0 or target.code in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC):
            return result
        if target.unqualified().name in ("char", "signed char", "unsigned char"):
            try:
                result["text"] = value.string("utf-8")
            except gdb.error as error:
                result["target"] = {"error": str(error)}
        elif depth > 0 and target.sizeof > 0:
            result["target"] = show(value.dereference(), depth - 1)
        return result
    return {"value": str(int(value))}

def show(value, depth):
    try:
        return plain(value, depth)
    except gdb.error as error:
        return {"error": str(error)}

def run():
    request = json.load(open(gdb.parameter("args")))
    answers = []
    for expression in request["expressions"]:
        try:
            value = gdb.parse_and_eval(expression)
            answer = show(value, request["depth"])
            answer["type"] = gdb.execute("whatis " + expression, to_string=True).strip()[len("type = "):]
            answers.append(answer)
        except gdb.error as error:
            answers.append({"error": str(error)})
    json.dump(answers, open(request["out"], "w"))

run()
`;

export interface GdbRequest {
  readonly program: string;
  readonly core?: string;
  /** gdb commands that bring it to the place. */
  readonly commands?: readonly string[];
  readonly expressions: readonly string[];
  readonly depth: number;
}

export function gdbValues(request: GdbRequest): readonly GdbDocument[] {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-gdb-'));
  try {
    const { program, core, commands = [], expressions, depth } = request;
    const out = join(folder, 'out.json');
    writeFileSync(join(folder, 'request.json'), JSON.stringify({ expressions, depth, out }));
    writeFileSync(join(folder, 'show.py'), script);
    const asked = [
      ...commands,
      `set args ${join(folder, 'request.json')}`,
      `source ${join(folder, 'show.py')}`,
    ];
    const settings = ['set debuginfod enabled off', 'set print elements 0', 'set print repeats 0'];
    const run = spawnSync(
      'gdb',
      [
        '-q',
        '-nx',
        '-batch',
        ...settings.flatMap((each) => ['-iex', each]),
        ...asked.flatMap((each) => ['-ex', each]),
        program,
        ...(core === undefined ? [] : [core]),
      ],
      { encoding: 'utf8', maxBuffer: 1 << 28 },
    );
    try {
      return JSON.parse(readFileSync(out, 'utf8')) as readonly GdbDocument[];
    } catch (cause) {
      throw new Error(`gdb gave no values: ${run.stdout}${run.stderr}`, { cause });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Where our document says something else than gdb; empty when nothing differs. */
export function differences(ours: ValueDocument, theirs: GdbDocument, path: string): string[] {
  const found: string[] = [];
  const tell = (what: string, mine: unknown, other: unknown): void => {
    found.push(`${path}: ${what} ${JSON.stringify(mine)}, gdb ${JSON.stringify(other)}`);
  };
  if (theirs.error !== undefined) {
    // Its Python cannot make a number of more than 8 bytes.
    if (ours.absent === undefined && !theirs.error.includes('integers of more than 8 bytes')) {
      tell('value', ours.value, theirs.error);
    }
    return found;
  }
  if (theirs.type !== undefined && ours.type !== theirs.type) tell('type', ours.type, theirs.type);
  if (theirs.value !== undefined && ours.value !== theirs.value) tell('value', ours.value, theirs.value);
  if (theirs.float !== undefined && !sameFloat(ours, theirs.float)) tell('float', ours.value, theirs.float);
  if (ours.kind === 'enum') {
    const wanted = /^-?\d+$/.test(theirs.text ?? '') ? undefined : theirs.text;
    if (ours.text !== wanted) tell('enumerator', ours.text, theirs.text);
  } else if (ours.kind === 'pointer' && theirs.text !== undefined && ours.text !== theirs.text) {
    tell('text', ours.text, theirs.text);
  }
  if (theirs.fields !== undefined) {
    const names = ours.fields?.map((field: VariableDocument) => field.name);
    const wanted = theirs.fields.map(([name]) => name ?? '');
    if (JSON.stringify(names) !== JSON.stringify(wanted)) tell('fields', names, wanted);
    for (const [i, [, other]] of theirs.fields.entries()) {
      const field = ours.fields?.[i];
      if (field !== undefined) found.push(...differences(field, other, `${path}.${field.name}`));
    }
  }
  if (theirs.elements !== undefined) {
    if (ours.elements?.length !== theirs.elements.length) {
      tell('elements', ours.elements?.length, theirs.elements.length);
    }
    for (const [i, other] of theirs.elements.entries()) {
      const element = ours.elements?.[i];
      if (element !== undefined) found.push(...differences(element, other, `${path}[${i}]`));
    }
  }
  if (theirs.target !== undefined) {
    if (ours.target === undefined) tell('target', undefined, theirs.target);
    else found.push(...differences(ours.target, theirs.target, `*${path}`));
  }
  return found;
}

function sameFloat(ours: ValueDocument, theirs: string): boolean {
  const mine = ours.value ?? '';
  if (/nan/.test(theirs) || /inf/.test(theirs)) return theirs.startsWith(mine);
  const [a, b] = [Number(mine), Number(theirs)];
  // gdb writes as many digits as a number needs, not the shortest; a float is read back as one.
  return Object.is(a, b) || Object.is(Math.fround(a), Math.fround(b));
}
