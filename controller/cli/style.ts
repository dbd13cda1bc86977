/**
 * How text reaches a terminal. Whatever came from a target passes through `clean` first: a process must not be able to move the
 * cursor, change colours or hide text of the one who looks into it.
 */
import pc from 'picocolors';
import { printable } from '../../format/printable.js';

/** NB: a file's `isTTY` is undefined, which picocolors takes for its own choice: to colour pipes under CI. */
const terminal: unknown = process.stdout.isTTY;

export const colors: ReturnType<typeof pc.createColors> = pc.createColors(
  pc.isColorSupported && terminal === true,
);

/** Of whatever came from a target. */
export const clean: (text: string) => string = printable;

const named: Readonly<Record<string, string>> = {
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '"': String.raw`\"`,
};

/** A string of the target between quotes, as C would write it. */
export function quoted(text: string): string {
  return `"${clean(text.replaceAll(/[\n\r\t"]/g, (character) => named[character] ?? character))}"`;
}

/** `12,345`. */
export function grouped(count: number | bigint): string {
  return count.toLocaleString('en-US');
}

/** `21.4 KiB`. */
export function bytesText(count: number): string {
  if (count < 1024) return `${count} bytes`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

/** `1.5 ms`. */
export function durationText(ns: number): string {
  if (ns < 1000) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} us`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(1)} s`;
}

export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
