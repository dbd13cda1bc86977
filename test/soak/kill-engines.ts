/**
 * `nice node dist/test/soak/kill-engines.js [KILLS [KIND]...]`: the loops of `engine-kills.ts` for long, 1000 kills of each kind unless told, with their figures. A kind is
 * `tracer-copies`, `front-stops` and so on. A line after each hundred; Ctrl-C ends it, with what was reached.
 */
import { allKinds, killAgain, type Kind } from './engine-kills.js';

const kills = Number(process.argv[2] ?? '1000');
const named = process.argv.slice(3);
const nameOf = ({ work, victim }: Kind): string => `${victim}-${work}`;
const unknown = named.filter((name) => allKinds.every((kind) => nameOf(kind) !== name));
if (unknown.length > 0 || !Number.isInteger(kills)) {
  console.error(`no such kind: ${unknown.join(' ')}; there are ${allKinds.map(nameOf).join(' ')}`);
  process.exit(2);
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
const told = 100;

for (const kind of allKinds) {
  if (stopping.signal.aborted || (named.length > 0 && !named.includes(nameOf(kind)))) continue;
  const startMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - startMs) / 1000);
  let done = 0;
  const killed = (): void => {
    done += 1;
    if (done % told === 0) console.log(`${nameOf(kind)}: ${done} of ${kills} kills in ${seconds()} s`);
  };
  const result = await killAgain(kind, kills, { signal: stopping.signal, killed });
  console.log(
    `${nameOf(kind)}: ${result.kills} kills in ${seconds()} s, of its time ${result.medianShare}% where it matters; wrong: ${result.wrong.length === 0 ? 'nothing' : result.wrong.join('; ')}`,
  );
  if (result.wrong.length > 0) process.exitCode = 1;
}
