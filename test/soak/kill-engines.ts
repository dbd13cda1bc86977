/** `nice node dist/test/soak/kill-engines.js [KILLS [KIND]...]`: the loops of `engine-kills.ts` for long, 1000 kills of each kind unless told, with their figures. */
import { killTracers, type Kind } from './engine-kills.js';

const kills = Number(process.argv[2] ?? '1000');
const named = process.argv.slice(3);
const kinds: readonly Kind[] = ['copies', 'stops', 'points'];
for (const kind of kinds.filter((each) => named.length === 0 || named.includes(each))) {
  const startMs = performance.now();
  const result = await killTracers(kind, kills);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(
    `${kind}: ${result.kills} kills in ${seconds} s, of the time of a tracer ${result.medianShare}% where it matters; wrong: ${result.wrong.length === 0 ? 'nothing' : result.wrong.join('; ')}`,
  );
  if (result.wrong.length > 0) process.exitCode = 1;
}
