/**
 * What a process does that is to be killed at any instant: says in a line for how many percent of the time `next` (which gives nanoseconds) held
 * its target, and goes on for ever.
 */
export function goOnUntilKilled(rehearsals: number, next: () => number): void {
  let began = process.hrtime.bigint();
  let heldNs = 0;
  for (let i = 0; i < rehearsals; i++) {
    // The first one compiles.
    if (i === 1) {
      began = process.hrtime.bigint();
      heldNs = 0;
    }
    heldNs += next();
  }
  const percent = (100 * heldNs) / Number(process.hrtime.bigint() - began);
  process.stdout.write(`${percent.toFixed(0)}\n`, () => {
    for (;;) next();
  });
}
