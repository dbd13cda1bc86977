/** How demos tell their story: headings with plain sentences, commands as a user would type them, figures side by side. */
import pc from 'picocolors';

export function heading(title: string, lines: readonly string[]): void {
  process.stdout.write(
    `\n${pc.cyan(pc.bold(`── ${title}`))}\n${lines.map((line) => `   ${line}\n`).join('')}`,
  );
}

export function commandLine(args: readonly string[]): void {
  process.stdout.write(`\n${pc.bold(`$ stillframe ${args.map(quote).join(' ')}`)}\n`);
}

function quote(argument: string): string {
  return /^[\w./:=,-]+$/.test(argument) ? argument : `'${argument}'`;
}

/** Rows of a name and cells, the first row being the titles. */
export function figures(rows: readonly (readonly string[])[], width = 24): string {
  return rows
    .map(
      (cells) => `   ${cells.map((cell, i) => (i === 0 ? cell.padEnd(20) : cell.padStart(width))).join('')}`,
    )
    .join('\n');
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
