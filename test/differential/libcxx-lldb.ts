/**
 * Types of libc++ as lldb shows them in the same core: sizes, and every number and text in order. lldb's Python is not needed; what it has no provider for it shows as
 * the structure that it is, and that is counted apart. usage: node dist/test/differential/libcxx-lldb.js [-O0|-O2]
 */
import { spawnSync } from 'node:child_process';
import { threadStack } from '../../controller/snapshot/frames.js';
import { openSnapshot } from '../../controller/snapshot/open.js';
import { showLocals } from '../../controller/snapshot/show.js';
import type { ValueDocument } from '../../controller/types/value-document.js';
import { compileNative, cplusplus } from '../support/compile-native.js';
import { crashCore } from '../support/core.js';
import { fixtureText } from '../support/fixtures.js';

/** What lldb 14 has no provider for, or shows in another way: whether an optional has a value, and characters as such. */
const withoutProvider =
  /^std::__1::(deque|stack|queue|span|any|function|optional|unique_ptr|shared_ptr|weak_ptr|atomic)<|^std::__1::any$|^std::__1::array<.*, 0/;
const shownOtherwise: ReadonlySet<string> = new Set(['associative mapDeep', 'associative mapAligned']);

const optimisation = process.argv[2] ?? '-O0';
const flags = ['-w', '-std=c++20', '-stdlib=libc++', '-fstandalone-debug', optimisation];
const program = compileNative(fixtureText('cplusplus/library.cc'), 'library', cplusplus('clang++', ...flags));
const functions = ['wrappers', 'associative', 'sequences', 'text'];

/** `frame variable` of each frame: the text behind `name = `, by function and name. */
function lldbShows(core: string, depth: number): ReadonlyMap<string, string> {
  const commands = [
    'settings set target.max-children-count 200',
    'settings set target.max-string-summary-length 2000',
  ];
  for (let i = 0; i < depth; i++) commands.push(`frame select ${i}`, 'frame variable');
  const args = ['-b', ...commands.flatMap((each) => ['-o', each]), '-c', core, program];
  const { stdout } = spawnSync('lldb', args, { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 120_000 });
  const shown = new Map<string, string>();
  let [frame, variable] = ['', ''];
  for (const line of stdout.split('\n')) {
    const inFrame = /^frame #\d+: .*`(\w+)\(/.exec(line);
    const begins = /^\(.*?\) (\w+) = ?(.*)$/.exec(line);
    if (inFrame !== null) [frame, variable] = [inFrame[1] ?? '', ''];
    else if (begins !== null) {
      variable = `${frame} ${begins[1] ?? ''}`;
      shown.set(variable, begins[2] ?? '');
    } else if (/^[ }]/.test(line) && variable !== '')
      shown.set(variable, `${shown.get(variable) ?? ''}\n${line}`);
    else variable = '';
  }
  return shown;
}

const leaf =
  /[LuU]?8?"((?:[^"\\]|\\.)*)"|(?:^|[=(,]\s*|\s)(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false)(?=[\s,)}\n]|$)/g;

function lldbLeaves(text: string): string[] {
  const plain = text.replaceAll(/size=\d+|\[\d+\]|0x[0-9a-f]+/g, '');
  return [...plain.matchAll(leaf)].map(
    (match) => match[1]?.replaceAll(String.raw`\0`, '\0') ?? number(match[2] ?? ''),
  );
}

function number(text: string): string {
  return /^-?\d/.test(text) ? String(Number(text)) : text;
}

function ourLeaves(document: ValueDocument): string[] {
  if (document.kind === 'string') return [document.text ?? ''];
  const parts = [...(document.fields ?? []), ...(document.elements ?? [])];
  if (document.fields !== undefined || document.elements !== undefined)
    return parts.flatMap((each) => ourLeaves(each));
  return document.value === undefined || document.kind === 'pointer' ? [] : [number(document.value)];
}

using core = crashCore(program, []);
using snapshot = openSnapshot(core.path);
const [thread] = snapshot.threads;
const frames = thread === undefined ? [] : threadStack(snapshot, thread).frames;
const theirs = lldbShows(core.path, frames.length);
const tally = { same: 0, leaves: 0, different: 0, notComparable: 0, absent: 0 };
for (const frame of frames.filter((each) => functions.includes(each.function ?? ''))) {
  for (const local of showLocals(snapshot, frame, {})) {
    const name = `${frame.function} ${local.name}`;
    const text = theirs.get(name);
    if (text === undefined || withoutProvider.test(local.type) || shownOtherwise.has(name))
      tally.notComparable++;
    else if (local.absent !== undefined) tally.absent++;
    else compare(name, local, text);
  }
}
console.log(JSON.stringify(tally));
if (tally.different > 0) process.exitCode = 1;

function compare(name: string, local: ValueDocument, text: string): void {
  const own = ourLeaves(local);
  const their = lldbLeaves(text).slice(0, (local.length ?? 0) > own.length ? own.length : undefined);
  const size = /^[^\n]*?size=(\d+)/.exec(text)?.[1];
  if (
    JSON.stringify(own) === JSON.stringify(their) &&
    (size === undefined || local.length === undefined || Number(size) === local.length)
  ) {
    tally.same++;
    tally.leaves += own.length;
    return;
  }
  tally.different++;
  console.log(
    `${name}: lldb ${JSON.stringify(their).slice(0, 200)} size ${size}; ours ${JSON.stringify(own).slice(0, 200)}`,
  );
}
