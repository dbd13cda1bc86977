import { expect, test } from 'vitest';
import { makeOutput } from '../../../controller/cli/output.js';

function terminal(rows: number): { streams: Parameters<typeof makeOutput>[1]; written: string[] } {
  const written: string[] = [];
  const stdout = { isTTY: true, rows, write: (text: string) => written.push(text) };
  return { streams: { stdout, stderr: { write: () => undefined } }, written };
}

test('live text replaces itself, however long it was', () => {
  const { streams, written } = terminal(24);
  const { live } = makeOutput(false, streams);
  live?.('one\ntwo\nthree');
  live?.('one');
  live?.('two');
  expect(written).toEqual([
    '\r\u001B[J\u001B[?7lone\ntwo\nthree\n\u001B[?7h',
    '\u001B[3A\r\u001B[J\u001B[?7lone\n\u001B[?7h',
    '\u001B[1A\r\u001B[J\u001B[?7ltwo\n\u001B[?7h',
  ]);
});

test('no more of it than the screen holds', () => {
  const { streams, written } = terminal(5);
  makeOutput(false, streams).live?.('1\n2\n3\n4\n5\n6');
  expect(written).toEqual(['\r\u001B[J\u001B[?7l1\n2\n3\n… and 3 more lines\n\u001B[?7h']);
});

test('there is none where it could not be replaced', () => {
  const { streams } = terminal(24);
  expect(makeOutput(true, streams).live).toBeUndefined();
  const file = { stdout: { write: () => true }, stderr: { write: () => true } };
  expect(makeOutput(false, file).live).toBeUndefined();
});
