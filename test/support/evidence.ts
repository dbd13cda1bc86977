/**
 * What a test that failed by chance is understood by: whoever starts processes for a test says here what became of them. It is printed under the
 * test's name when it has failed (`setup.ts`), and forgotten when it has not.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** Says what is the matter now; it is asked after a failure, and must bear that everything is gone. */
export type Witness = () => string | Promise<string>;

const witnesses = new Set<Witness>();
const last: string[] = [];
let failing = (): boolean => false;

/** Whether the test that runs has failed; outside of a test runner none has. */
export const hasFailed = (): boolean => failing();

export function askFailure(ask: () => boolean): void {
  failing = ask;
}

/** The end of it is heard as the last word of the witness, who is not asked after that. */
export function heard(witness: Witness): (lastWord: string) => void {
  witnesses.add(witness);
  return (lastWord) => {
    witnesses.delete(witness);
    last.push(lastWord);
  };
}

/** At the end of each test, whatever became of it. Empty where it has not failed. */
export async function takeEvidence(): Promise<string> {
  const before = last.splice(0);
  if (!hasFailed()) return '';
  const now = await Promise.all(Array.from(witnesses, async (witness) => witness()));
  return [...before, ...now].join('\n');
}

/** Its threads, by their states and by who traces them: `3 S, 1 t traced by 77`. */
export function threadStates(pid: number): string {
  const counts = new Map<string, number>();
  try {
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
      const [, state = '?'] = /^State:\s+(\S)/m.exec(status) ?? [];
      const [, tracer = '0'] = /^TracerPid:\s+(\d+)/m.exec(status) ?? [];
      const text = tracer === '0' ? state : `${state} traced by ${tracer}`;
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
  } catch (error) {
    // It may end meanwhile.
    return `gone: ${error instanceof Error ? error.message : String(error)}`;
  }
  return Array.from(counts, ([text, count]) => `${count} ${text}`).join(', ');
}

/** The last lines of a log, indented. */
export function tail(text: string, lines: number): string {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(-lines)
    .map((line) => `    ${line.slice(0, 500)}\n`)
    .join('');
}
