/** A program whose one function is passed a hundred times a second, for tests of the way to it and not of what is in it. */
import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileC } from './compile-c.js';
import type { StartedProgram, Workplace } from './cli.js';

const source = `
#include <stdio.h>
#include <unistd.h>
struct tick { long number; struct { const char *name; int weight; } *label; };
static __attribute__((noinline)) int pass(struct tick *tick) {
  int doubled = (int)tick->number * 2;
  __asm__ volatile("" ::: "memory");
  return doubled + tick->label->weight;
}
int main(void) {
  struct tick tick = { 0, &(__typeof__(*tick.label)){ "label", 7 } };
  puts("ready"); fflush(stdout);
  int sum = 0;
  for (;;) { tick.number++; sum += pass(&tick); usleep(10000); }
  return sum;
}
`;

export function buildTicker(): string {
  return compileC(source, { name: 'ticker' });
}

export function startTicker(workplace: Workplace): Promise<StartedProgram> {
  return workplace.startProgram(buildTicker(), [], { ready: /^ready$/ });
}

/** The same under a name that no other test uses, for selectors: other tests have tickers, too. */
export function startNamedTicker(workplace: Workplace, name: string): Promise<StartedProgram> {
  const path = join(workplace.folder, name);
  copyFileSync(buildTicker(), path);
  return workplace.startProgram(path, [], { ready: /^ready$/ });
}

/** At most 15 characters, as the kernel keeps names of processes. */
export function uniqueName(): string {
  return `tick-${randomBytes(5).toString('hex')}`;
}
