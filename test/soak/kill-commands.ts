/**
 * `nice node dist/test/soak/kill-commands.js [KILLS]`: the storm of `command-storm.ts` for long, 500 kills unless told: a tenth of commands that start an agent of their own, half
 * with an agent, the rest with a controller. A line after each batch.
 */
import { commandStorm } from './command-storm.js';

const kills = Number(process.argv[2] ?? '500');
const [command, agent] = [Math.round(kills * 0.1), Math.round(kills * 0.5)];
const startMs = performance.now();
const result = await commandStorm({
  kills: { command, agent, controller: kills - command - agent },
  lanes: 3,
  tell: (line) => console.log(line),
});
for (const [kind, { early, late }] of result.byKind) {
  console.log(`${kind}: ${early} killed before it said anything, ${late} after`);
}
const left = result.remains.length === 0 ? 'nothing' : result.remains.join('; ');
console.log(`${result.kills} kills in ${Math.round((performance.now() - startMs) / 1000)} s; left: ${left}`);
process.exitCode = result.remains.length === 0 ? 0 : 1;
