/** Lists, arrays of pointers and tables of lists in snapshots of a running program, by each engine that has points. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { compileC } from '../support/compile-c.js';
import type { SnapshotJson } from '../support/documents.js';

const source = `
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
struct node { long id; char *name; struct node *next; };
struct table { long used; struct node *buckets[64]; };
static struct node *list_of(long from, int count) {
  struct node *first = 0;
  for (int i = count - 1; i >= 0; i--) {
    struct node *node = malloc(sizeof *node);
    node->id = from + i;
    node->next = first;
    node->name = malloc(16);
    snprintf(node->name, 16, "node %ld", node->id);
    first = node;
  }
  return first;
}
static __attribute__((noinline)) long pass(struct node *list, struct node *ring, struct node *large, struct table *table, char **words, long count) {
  __asm__ volatile("" ::: "memory");
  return list->id + ring->id + large->id + table->used + words[0][0] + count;
}
int main(void) {
  struct node *list = list_of(0, 60), *ring = list_of(1000, 5), *large = list_of(2000, 150), *last = ring;
  while (last->next) last = last->next;
  last->next = ring;
  struct table *table = calloc(1, sizeof *table);
  for (int i = 0; i < 64; i++) table->buckets[i] = i % 3 == 0 ? 0 : list_of(i * 100, i % 5);
  char *words[40];
  for (int i = 0; i < 40; i++) { words[i] = malloc(16); snprintf(words[i], 16, "word %d", i); }
  puts("ready"); fflush(stdout);
  long sum = 0;
  for (;;) { sum += pass(list, ring, large, table, words, 37); usleep(10000); }
  return sum;
}
`;

interface Answer {
  readonly value?: string;
  readonly text?: string;
  readonly absent?: { readonly reason: string; readonly detail: string };
}

const after = (steps: number): string => '->next'.repeat(steps);

/** What is asked, and what the answer is. */
const questions: readonly (readonly [string, string])[] = [
  // A list is there to its end.
  [`list${after(59)}->name`, 'node 59'],
  [`list${after(59)}->id`, '59'],
  [`list${after(59)}->next`, '0x0'],
  // A ring is there once, and leads on to itself.
  [`ring${after(4)}->name`, 'node 1004'],
  [`ring${after(5)} == ring`, '1'],
  [`ring${after(7)}->id`, '1002'],
  // A table has all its buckets, and each all that is in it.
  ['table->buckets[1]->name', 'node 100'],
  ['table->buckets[62]->next->name', 'node 6201'],
  ['table->buckets[44]->next->next->next->id', '4403'],
  ['table->buckets[63]', '0x0'],
  // An array has all that is pointed to, as many as its length says.
  ['words[0]', 'word 0'],
  ['words[36]', 'word 36'],
  // Of a longer list there are the first hundred.
  [`large${after(99)}->name`, 'node 2099'],
];

describe.each(['uprobe', 'ptrace'])('by %s', (engine) => {
  let workplace: Workplace;
  let program: StartedProgram;
  beforeAll(async () => {
    workplace = openWorkplace();
    program = await workplace.startProgram(compileC(source, { name: 'lists' }), [], { ready: /^ready$/ });
    await workplace.startAgent();
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  test('what was captured is there to its end, and what was cut says so', async () => {
    const captures = ['list', 'ring', 'large', 'table->buckets', 'words @ count'];
    const [snapshot] = (await workplace.json(
      'snap',
      String(program.pid),
      'pass',
      '--engine',
      engine,
      '--wait',
      '110s',
      ...captures.flatMap((capture) => ['--capture', capture]),
    )) as [SnapshotJson];
    expect(snapshot.engine).toBe(engine);
    const beyond = `large${after(100)}->id`;
    const answers = (await workplace.json(
      'eval',
      snapshot.id,
      ...questions.map(([question]) => question),
      beyond,
    )) as Answer[];
    const given = questions.map(([question], i) => [question, answers[i]?.text ?? answers[i]?.value]);
    expect(given).toEqual(questions);
    expect(answers.at(-1)?.absent).toMatchObject({
      reason: 'limit',
      detail: expect.stringContaining('more than 100 items'),
    });
  });
});
