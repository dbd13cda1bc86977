/**
 * `nice node dist/test/soak/kills.js [KILLS]`: the storm of `kill-storm.ts` for long, 1000 kills unless told, a third of them of real tracers, with its figures:
 * a line after each hundred.
 */
import { killStorm, stormPoints } from './kill-storm.js';

const kills = Number(process.argv[2] ?? '1000');
const batch = 100;
const startMs = performance.now();
const sum = { kills: 0, none: 0, some: 0, all: 0, hits: 0, passes: 0, wrong: 0, signals: 0 };
const latency = { p50Ns: 0, p99Ns: 0 };
const left: string[] = [];
while (sum.kills < kills) {
  const { lives, verdict, remains } = await killStorm(Math.min(batch, kills - sum.kills), 3);
  sum.kills += lives.length;
  sum.none += lives.filter(({ armed }) => armed === 0).length;
  sum.some += lives.filter(({ armed }) => armed > 0 && armed < stormPoints).length;
  sum.all += lives.filter(({ armed }) => armed >= stormPoints).length;
  sum.hits += lives.reduce((hits, life) => hits + life.hits, 0);
  sum.passes += verdict.passes;
  sum.wrong += verdict.wrong;
  sum.signals += verdict.signals;
  latency.p50Ns = Math.max(latency.p50Ns, verdict.p50Ns);
  latency.p99Ns = Math.max(latency.p99Ns, verdict.p99Ns);
  left.push(...remains);
  console.log(
    [
      `${sum.kills} kills in ${Math.round((performance.now() - startMs) / 1000)} s`,
      `armed when killed: nothing ${sum.none}, some ${sum.some}, all ${sum.all}; ${sum.hits} hits told`,
      `the services: ${sum.passes} passes, ${sum.wrong} wrong, ${sum.signals} signals, a pass ${latency.p50Ns} ns in the median, ${latency.p99Ns} ns at 99%`,
      `left behind: ${left.length === 0 ? 'nothing' : left.join('; ')}`,
    ].join('; '),
  );
}
process.exitCode = left.length === 0 && sum.wrong === 0 && sum.signals === 0 ? 0 : 1;
