/** `nice node dist/test/soak/kills.js [KILLS]`: the storm of `kill-storm.ts` for long, 1000 kills unless told, a third of them of real tracers, with its figures. */
import { killStorm, stormPoints } from './kill-storm.js';

const kills = Number(process.argv[2] ?? '1000');
const startMs = performance.now();
const { lives, verdict, remains } = await killStorm(kills, 3);
const allArmed = lives.filter(({ armed }) => armed >= stormPoints);
console.log(`${lives.length} kills in ${Math.round((performance.now() - startMs) / 1000)} s`);
console.log(
  `armed when killed: nothing ${lives.filter(({ armed }) => armed === 0).length}, some ${lives.filter(({ armed }) => armed > 0 && armed < stormPoints).length}, all ${allArmed.length}; ${lives.reduce((sum, { hits }) => sum + hits, 0)} hits told`,
);
console.log(
  `the services: ${verdict.passes} passes, ${verdict.wrong} wrong, ${verdict.signals} signals, a pass ${verdict.p50Ns} ns in the median, ${verdict.p99Ns} ns at 99%`,
);
console.log(`left behind: ${remains.length === 0 ? 'nothing' : remains.join('; ')}`);
process.exitCode = remains.length === 0 && verdict.wrong === 0 && verdict.signals === 0 ? 0 : 1;
