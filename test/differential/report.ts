/** The figures of a differential run, and every difference by its reason. */
import type { Tally } from '../support/compare-value.js';

interface Reason {
  count: number;
  readonly examples: string[];
}

const maxExamples = 6;

export class Report {
  #cores = 0;
  #programs = new Set<string>();
  #compared = 0;
  #absent = 0;
  #withheld = 0;
  #different = 0;
  readonly #reasons = new Map<string, Reason>();

  add(name: string, tally: Tally): void {
    this.#cores++;
    this.#programs.add(name.replace(/ core\.\d+$/, ''));
    this.#compared += tally.compared;
    this.#absent += tally.absent;
    this.#withheld += tally.withheld.length;
    this.#different += tally.differences.length;
    for (const each of tally.differences)
      this.#note(`DIFFERENT ${origin(each)}${shape(each)}`, `${name}: ${each}`);
    for (const each of tally.withheld)
      this.#note(
        `WITHHELD ${origin(each)}${each.slice(each.indexOf(': ') + 2).replaceAll(/0x[0-9a-f]+|\d+|"[^"]*"|; available.*/g, 'N')}`,
        `${name}: ${each}`,
      );
    for (const each of tally.skipped)
      this.#note(`SKIPPED ${each.slice(each.lastIndexOf(': ') + 2)}`, `${name}: ${each}`);
  }

  unbuilt(name: string, why: string): void {
    this.#note(`NOT RUN ${why.replaceAll(/\d+|'[^']*'|‘[^’]*’|^.*error:/g, '')}`, `${name}: ${why}`);
  }

  #note(reason: string, example: string): void {
    const known = this.#reasons.get(reason) ?? { count: 0, examples: [] };
    known.count++;
    if (known.examples.length < maxExamples) known.examples.push(example);
    this.#reasons.set(reason, known);
  }

  #head(): string {
    const leaves = this.#compared + this.#absent + this.#withheld;
    const equal = leaves - this.#withheld - this.#different;
    return (
      `${this.#programs.size} programs, ${this.#cores} cores, ${leaves} leaves: ${this.#compared} shown by both, ${this.#absent} by neither, ` +
      `${this.#withheld} withheld by us, ${this.#different} different; ${((equal / Math.max(1, leaves)) * 100).toFixed(3)}% equal\n`
    );
  }

  /** Head, and every reason with its count. */
  summary(): string {
    const reasons = [...this.#reasons].toSorted((a, b) => b[1].count - a[1].count);
    return (
      this.#head() + reasons.map(([reason, { count }]) => `${String(count).padStart(7)} ${reason}\n`).join('')
    );
  }

  /** With examples. */
  text(): string {
    const reasons = [...this.#reasons].toSorted((a, b) => b[1].count - a[1].count);
    return (
      this.#head() +
      reasons
        .map(
          ([reason, { count, examples }]) =>
            `\n${count} ${reason}\n${examples.map((each) => `    ${each}\n`).join('')}`,
        )
        .join('')
    );
  }
}

/** Whether it is of a variable, or of an expression that only `eval` was asked. */
function origin(text: string): string {
  const expression = / eval (.*?): /.exec(text)?.[1];
  if (expression === undefined) return '';
  return /^[\w.]+$/.test(expression) ? 'eval name ' : 'eval ';
}

/** A difference without what is particular to it. */
function shape(difference: string): string {
  if (difference.startsWith('frames: ')) return 'frames';
  if (/: gdb has .*; ours /.test(difference)) return 'names of variables';
  if (difference.startsWith('failed: ')) return difference.split('\n')[0] ?? '';
  const text = difference
    .replace(/^.*?: /, '')
    .replace(/, ours \{.*/, (all) => `, ours ${/"kind":"(\w+)"/.exec(all)?.[1]}`);
  return text.replaceAll(/"[^"]*"|-?0x[0-9a-f]+|-?\d[\d.e+]*/g, 'N').slice(0, 140);
}
