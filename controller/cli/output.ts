/**
 * Where results, progress and errors go. Results on stdout: with `--json` a document a line, else text. Progress on stderr, and on
 * a terminal it overwrites itself. An error is a document on stdout with `--json`, else text on stderr.
 */
import type { StillframeError } from '../../format/error.js';
import { clean, colors } from './style.js';

export interface Output {
  readonly json: boolean;
  /** One result: as JSON, or as what `text` makes of it. */
  result(document: object, text: () => string): void;
  /** Something for people only, left out of JSON. */
  text(text: string): void;
  /** A line that lasts: what was done on the way. */
  notify(message: string): void;
  /** Text that the next one replaces, on a terminal; undefined elsewhere. */
  readonly live?: (text: string) => void;
  /** A line that the next one replaces. */
  progress(message: string): void;
  error(error: StillframeError): void;
  /** Removes a progress line that is still there. */
  clear(): void;
}

export interface OutputStreams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean; readonly rows?: number };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
}

/** Between two lines of progress where they do not replace each other. */
const quietMs = 10_000;

export function makeOutput(json: boolean, streams: OutputStreams = process): Output {
  const { stdout, stderr } = streams;
  const isTerminal = stderr.isTTY === true;
  let toldMs = 0;
  let isPending = false;
  const clear = (): void => {
    if (isPending) stderr.write('\r\u001B[K');
    isPending = false;
  };
  const print = (text: string): void => {
    clear();
    stdout.write(`${text}\n`);
  };
  return {
    json,
    clear,
    ...(stdout.isTTY === true && !json ? { live: liveText(stdout) } : {}),
    result: (document, text) => print(json ? JSON.stringify(document) : text()),
    text(text) {
      if (!json) print(text);
    },
    notify(message) {
      clear();
      stderr.write(`${clean(message)}\n`);
    },
    progress(message) {
      const text = clean(message);
      if (isTerminal) {
        clear();
        stderr.write(text.slice(0, Math.max(20, (stderr.columns ?? 80) - 1)));
        isPending = true;
      } else if (Date.now() - toldMs >= quietMs) {
        stderr.write(`${text}\n`);
        toldMs = Date.now();
      }
    },
    error(error) {
      clear();
      if (json) stdout.write(`${JSON.stringify(errorDocument(error))}\n`);
      else stderr.write(`${errorText(error)}\n`);
    },
  };
}

const defaultRows = 24;

/** Never more than the screen holds: what has scrolled away cannot be replaced. */
function liveText(stdout: OutputStreams['stdout']): (text: string) => void {
  let shown = 0;
  return (text) => {
    const lines = text.split('\n');
    const most = Math.max(2, (stdout.rows ?? defaultRows) - 1);
    const cut =
      lines.length <= most
        ? lines
        : [...lines.slice(0, most - 1), `… and ${lines.length - most + 1} more lines`];
    const back = shown === 0 ? '' : `\u001B[${shown}A`;
    // A longer line would take two, and the next text would start too low.
    stdout.write(`${back}\r\u001B[J\u001B[?7l${cut.join('\n')}\n\u001B[?7h`);
    shown = cut.length;
  };
}

export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly candidates?: readonly string[];
  };
}

export function errorDocument({ code, message, hint, candidates }: StillframeError): ErrorDocument {
  return {
    error: {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(candidates.length === 0 ? {} : { candidates }),
    },
  };
}

const maxCandidates = 20;

export function errorText({ message, hint, candidates }: StillframeError): string {
  const lines = [`${colors.red('error:')} ${clean(message)}`];
  for (const candidate of candidates.slice(0, maxCandidates)) lines.push(`  ${clean(candidate)}`);
  if (candidates.length > maxCandidates) lines.push(`  … and ${candidates.length - maxCandidates} more`);
  if (hint !== undefined) lines.push(`${colors.cyan('hint:')} ${clean(hint)}`);
  return lines.join('\n');
}
