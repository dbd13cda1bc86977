/** Tables for people: no lines, columns as wide as they must be. Cells must be clean already. */
import Table from 'cli-table3';
import { colors } from './style.js';

const none = '';
const plain = {
  top: none, 'top-mid': none, 'top-left': none, 'top-right': none,
  bottom: none, 'bottom-mid': none, 'bottom-left': none, 'bottom-right': none,
  left: none, 'left-mid': none, mid: none, 'mid-mid': none,
  right: none, 'right-mid': none, middle: '  ',
}; // prettier-ignore

export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    chars: plain,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    head: head.map((name) => colors.bold(name)),
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
