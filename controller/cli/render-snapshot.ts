/**
 * A snapshot as a person reads it: where and when, the stack with its source lines, the variables of each frame, what was asked
 * for, what it cost. Reads source files where they are; everything else is in the document.
 */
import { readFileSync } from 'node:fs';
import type { CaptureCost } from '../../format/capture.js';
import type {
  CaptureDocument,
  FrameDocument,
  GoroutineDocument,
  SnapshotDocument,
  ThreadDocument,
  WrittenDocument,
} from '../snapshot/document.js';
import { briefText } from '../types/brief-text.js';
import type { ValueDocument, VariableDocument } from '../types/value-document.js';
import { rootPath } from '../types/path.js';
import { absentText, renderValueText, type ValueTextOptions } from './render-value.js';
import { bytesText, clean, colors, durationText, grouped, plural } from './style.js';

export interface SnapshotTextOptions {
  /** Only this frame. */
  readonly frame?: number;
  readonly allThreads?: boolean;
  /** Lines of source around the position of each frame, not only the line itself. */
  readonly source?: boolean;
  readonly width?: number;
  /** Objects that were shown before in the same text. */
  readonly shown?: Set<string>;
}

const defaultWidth = 110;
const sourceContext = 3;
/** Why a frame is not known is told whole: build ids stand in it. */
const maxFrameDetail = 1000;
const maxSourceBytes = 4 * 1024 * 1024;

export function renderSnapshot(document: SnapshotDocument, options: SnapshotTextOptions = {}): string {
  const parts = [heading(document)];
  if (document.written !== undefined) parts.push(renderWritten(document.written));
  const shown = options.shown ?? new Set<string>();
  const frames = document.frames.filter(
    ({ index }) => options.frame === undefined || index === options.frame,
  );
  // "Now" has no point and no thread that hit: all threads are what was asked for.
  // A core of others has neither, and the stacks of its other threads only where they were asked for.
  const isNow = document.point === '' && document.threads.filter((each) => each.frames).length > 1;
  if (isNow || options.allThreads === true)
    parts.push(...document.threads.map((thread) => renderThread(thread, { ...options, shown })));
  else parts.push(frames.map((frame) => renderFrame(frame, { ...options, shown })).join('\n'));
  if (document.goroutines !== undefined)
    parts.push(
      ...document.goroutines.map((each) => renderGoroutine(each, document.threads, { ...options, shown })),
    );
  if (document.captures.length > 0) parts.push(renderCaptures(document.captures, { ...options, shown }));
  if (document.cost !== undefined) parts.push(renderCost(document.cost));
  return parts.join('\n\n');
}

function heading(document: SnapshotDocument): string {
  const thread = document.goroutine === undefined ? `, thread ${document.tid}` : '';
  const who = `${clean(document.comm)} (pid ${document.pid}${thread})`;
  const where = document.host === '' ? '' : ` on ${clean(document.host)}`;
  const when = document.time === undefined ? '' : `  ${clean(document.time)}`;
  const first = `${colors.bold(`snapshot ${clean(document.id)}`)}  ${who}${where}${when}`;
  const { location } = document;
  const place = location.file === undefined ? '' : ` at ${shortFile(location.file)}:${location.line ?? '?'}`;
  const goroutine = document.goroutine === undefined ? '' : `\n${goroutineTitle(document.goroutine)}`;
  const point = document.point === '' ? '' : `, point ${clean(document.point)}`;
  return `${first}\nin ${clean(location.function ?? '??')}${place}, engine ${clean(document.engine)}${point}${goroutine}`;
}

function renderWritten(written: WrittenDocument): string {
  const { expression, before, after, changed, by, bytes, address } = written;
  const values = changed ? `${oneLine(before)} → ${oneLine(after)}` : `${oneLine(after)}, as before`;
  const file = by?.file === undefined ? '' : ` at ${shortFile(by.file)}:${by.line ?? '?'}`;
  const place = by === undefined ? '' : `\nwritten by ${clean(by.function ?? '??')}${file}`;
  return `${colors.bold(clean(expression))}  ${values}  ${colors.dim(`${bytes} bytes at ${clean(address)}`)}${place}`;
}

function oneLine(value: ValueDocument): string {
  return clean(value.text ?? value.value ?? briefText(value));
}

/** `12,345 hits …, nothing stopped`: what the process felt. */
export function renderCost(cost: CaptureCost): string {
  const stopped =
    cost.stoppedNs === 0 ? colors.green('nothing stopped') : `stopped for ${durationText(cost.stoppedNs)}`;
  const parts = [
    plural(cost.hits, 'hit'),
    `condition false ${grouped(cost.conditionFalse)} times`,
    ...(cost.dropped > 0 ? [`${grouped(cost.dropped)} dropped`] : []),
    ...(cost.faults > 0 ? [plural(cost.faults, 'fault')] : []),
    `${bytesText(cost.bytes)} captured`,
    stopped,
  ];
  return `${colors.bold('cost')}  ${parts.join(', ')}`;
}

export function renderThread(thread: ThreadDocument, options: SnapshotTextOptions): string {
  const title = colors.bold(`thread ${thread.tid} ${clean(thread.comm)}`);
  const state = colors.dim(`state ${clean(thread.state)}`);
  const missing = thread.absent === undefined ? [] : [`  ${colors.yellow(absentText(thread.absent))}`];
  const frames = (thread.frames ?? []).map((frame) => renderFrame(frame, options));
  return [`${title}  ${state}${laterText(thread)}`, ...missing, ...frames].join('\n');
}

function laterText({ provenance, delayUs }: ThreadDocument): string {
  if (provenance === undefined) return '';
  const delay = delayUs === undefined ? '' : ` +${delayUs} us`;
  return `  ${colors.yellow(`[${provenance}${delay}]`)}`;
}

function renderGoroutine(
  goroutine: GoroutineDocument,
  threads: readonly ThreadDocument[],
  options: SnapshotTextOptions,
): string {
  const { thread } = goroutine;
  const own = threads.find(({ tid }) => tid === thread);
  const frames = isSameStack(goroutine.frames, own?.frames)
    ? [colors.dim(`     the stack of thread ${thread}`)]
    : goroutine.frames.map((frame) => renderFrame(frame, options));
  return [goroutineTitle(goroutine), ...frames].join('\n');
}

function goroutineTitle({
  id,
  state,
  waitReason,
  thread,
  absent,
}: NonNullable<SnapshotDocument['goroutine']>): string {
  const title = colors.bold(`goroutine ${id === '' ? '?' : clean(id)}`);
  const details = [
    clean(state),
    ...(waitReason === undefined ? [] : [clean(waitReason)]),
    ...(thread === undefined ? [] : [`thread ${thread}`]),
  ];
  const missing = absent === undefined ? [] : [`  ${colors.yellow(absentText(absent))}`];
  return [`${title}  ${colors.dim(details.join(', '))}`, ...missing].join('\n');
}

/** What was told of its thread is not told again. */
function isSameStack(
  frames: readonly FrameDocument[],
  thread: readonly FrameDocument[] | undefined,
): boolean {
  if (thread === undefined || frames.length === 0 || frames.length !== thread.length) return false;
  return frames.every((frame, i) => frame.address === thread[i]?.address);
}

function renderFrame(frame: FrameDocument, options: SnapshotTextOptions): string {
  const name = colors.bold(clean(frame.function ?? '??'));
  const place =
    frame.file === undefined
      ? colors.dim(clean(frame.address))
      : `${shortFile(frame.file)}:${frame.line ?? '?'}`;
  const inlined = frame.inlined ? colors.dim('  (inlined)') : '';
  const lines = [`${colors.bold(`#${frame.index}`).padEnd(4)} ${name}  ${place}${inlined}`];
  lines.push(...sourceLines(frame, options.source === true ? sourceContext : 0));
  for (const variable of frame.locals) lines.push(renderVariable(variable, options));
  if (frame.absent !== undefined) {
    lines.push(`     ${colors.yellow(absentText(frame.absent, maxFrameDetail))}`);
    if (frame.absent.hint !== undefined) lines.push(`     hint: ${clean(frame.absent.hint)}`);
  }
  return lines.join('\n');
}

function renderVariable(variable: VariableDocument, options: SnapshotTextOptions): string {
  const shadowed = variable.shadowed === true ? colors.dim(' (shadowed)') : '';
  const type = colors.dim(clean(variable.type));
  const value = renderValueText(variable, valueOptions(options, 5, variable.name));
  return `     ${colors.cyan(clean(variable.name))}${shadowed} ${type} = ${value}`;
}

function valueOptions(options: SnapshotTextOptions, indent: number, expression: string): ValueTextOptions {
  const { shown, width = defaultWidth } = options;
  return { indent, width, path: rootPath(expression), ...(shown === undefined ? {} : { shown }) };
}

function renderCaptures(captures: readonly CaptureDocument[], options: SnapshotTextOptions): string {
  const lines = captures.map((capture) => {
    const value = renderValueText(capture, valueOptions(options, 2, capture.expression));
    const hint = capture.absent?.hint === undefined ? '' : `\n    hint: ${clean(capture.absent.hint)}`;
    return `  ${colors.cyan(clean(capture.expression))} ${colors.dim(clean(capture.type))} = ${value}${hint}`;
  });
  return `${colors.bold('captured')}\n${lines.join('\n')}`;
}

function shortFile(file: string): string {
  return clean(file.slice(file.lastIndexOf('/') + 1));
}

/** The line of a frame, with context where asked for; nothing where the source is not on this machine. */
function sourceLines(frame: FrameDocument, context: number): string[] {
  if (frame.file === undefined || frame.line === undefined) return [];
  const lines = readSource(frame.file);
  if (lines === undefined || frame.line > lines.length) return [];
  const shown: string[] = [];
  const first = Math.max(1, frame.line - context);
  for (let number = first; number <= Math.min(lines.length, frame.line + context); number++) {
    const here = number === frame.line;
    const text = clean((lines[number - 1] ?? '').replaceAll('\t', '    '));
    const line = `${here ? '→' : ' '}${String(number).padStart(5)} │ ${text}`;
    shown.push(`     ${here ? line : colors.dim(line)}`);
  }
  return shown;
}

const sources = new Map<string, readonly string[] | undefined>();

function readSource(file: string): readonly string[] | undefined {
  if (!sources.has(file)) sources.set(file, readLines(file));
  return sources.get(file);
}

function readLines(file: string): readonly string[] | undefined {
  try {
    const bytes = readFileSync(file);
    return bytes.length > maxSourceBytes ? undefined : bytes.toString('utf8').split('\n');
  } catch {
    // Source that is not here is no error: the position says enough.
    return undefined;
  }
}
