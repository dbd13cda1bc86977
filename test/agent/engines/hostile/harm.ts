/** What must not have come to a target, whatever was tried on it. */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { RunningProgram } from '../../../support/running-program.js';
import { threadTraces } from '../ptrace/target.js';

/** What is so of the target by itself. */
export interface OwnState {
  /** A thread of its is in this state for good. */
  readonly state?: string;
  /** It is traced by a child of its own. */
  readonly traced?: boolean;
  /** Before it is asked how it is. */
  readonly release?: (target: RunningProgram) => Promise<void> | void;
}

/** The process, its copies and its children, as long as they are zombies or copies: what must not stay. */
function remains(target: RunningProgram, own: OwnState): string[] {
  const command = readFileSync(`/proc/${target.pid}/cmdline`, 'utf8');
  const others = readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || entry === String(target.pid)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const isChild = parent === String(target.pid);
      const isCopy = !isChild && readFileSync(`/proc/${entry}/cmdline`, 'utf8') === command;
      return (isChild && state === 'Z') || isCopy ? [`${entry} ${state} of ${parent}`] : [];
    } catch {
      return [];
    }
  });
  const threads = threadTraces(target.pid).flatMap(({ tid, tracer: by, state }) =>
    (by === 0 || own.traced === true) && (state === own.state || !'Tt'.includes(state))
      ? []
      : [`thread ${tid} ${state} traced by ${by}`],
  );
  return [...others, ...threads];
}

/** It works, what it computes is right, and nothing is left of whoever looked into it. */
export async function expectUnharmed(target: RunningProgram, own: OwnState): Promise<void> {
  let left = remains(target, own);
  for (let i = 0; i < 6000 && left.length > 0; i++) {
    await sleep(10);
    left = remains(target, own);
  }
  expect(left).toEqual([]);
  await own.release?.(target);
  const ask = async (): Promise<number> => {
    target.child.stdin.write('c\n');
    const [done, wrong] = (await target.nextLine()).split(' ');
    expect(wrong).toBe('0');
    return Number(done);
  };
  const before = await ask();
  while ((await ask()) === before) await sleep(10);
}
