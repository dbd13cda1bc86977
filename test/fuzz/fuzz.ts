/**
 * The coverage-guided fuzzer: `npm run fuzz -- TARGET... --seconds N`. One target after another runs in a thread that is watched; what it
 * throws, and where it stays longer than a minute, is saved with its input under `.cache/fuzz/TARGET/findings`.
 * `--reproduce FILE` runs one input again. Without a target: the list of them.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { cacheFolder } from '../support/paths.js';
import { findingOf, guardAllocations } from './fuzz-target.js';
import {
  maxInputBytes,
  sharedHeadBytes,
  type FuzzFinding,
  type FuzzOrder,
  type FuzzProgress,
} from './fuzz-order.js';
import { findTarget, fuzzTargets } from './targets.js';

const hangMs = 60_000;
const lookMs = 2000;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Saves an input and says how to run it again. */
function report(target: string, folder: string, what: string, bytes: Uint8Array): void {
  const findings = join(folder, 'findings');
  mkdirSync(findings, { recursive: true });
  const file = join(findings, createHash('sha256').update(bytes).digest('hex').slice(0, 16));
  writeFileSync(file, bytes);
  writeFileSync(`${file}.txt`, `${what}\n`);
  say(
    `FOUND ${target}: ${what}\n  ${bytes.length} bytes; again: npm run fuzz -- ${target} --reproduce ${file}`,
  );
}

/** Runs one target for so long; gives how many findings there were. */
async function fuzz(target: string, seconds: number, seed: number): Promise<number> {
  const folder = join(cacheFolder, 'fuzz', target);
  const shared = new SharedArrayBuffer(sharedHeadBytes + maxInputBytes);
  const order: FuzzOrder = { target, folder, seconds, seed, shared };
  const worker = new Worker(fileURLToPath(new URL('fuzz-worker.js', import.meta.url)), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  const words = new Uint32Array(shared, 0, 2);
  const input = (): Uint8Array => new Uint8Array(shared, sharedHeadBytes, Atomics.load(words, 1)).slice();
  let findings = 0;
  const found = (what: string, bytes: Uint8Array): void => {
    findings++;
    report(target, folder, what, bytes);
  };
  const start = Date.now();
  let last = { runs: -1, at: Date.now() };
  const watch = setInterval(() => {
    const runs = Atomics.load(words, 0);
    if (runs !== last.runs) last = { runs, at: Date.now() };
    else if (Date.now() - last.at > hangMs) {
      found(`one input ran for more than ${hangMs / 1000} s`, input());
      void worker.terminate();
    }
  }, lookMs);
  worker.on('message', (message: FuzzFinding | FuzzProgress) => {
    if (message.kind === 'finding') return found(message.stack, message.bytes);
    if (message.kind !== 'done') return undefined;
    const { runs, blocks, corpus, slowestMs } = message;
    const perSecond = Math.round((runs * 1000) / (Date.now() - start));
    say(
      `${target}: ${runs} runs, ${perSecond}/s, ${blocks} blocks, ${corpus} inputs kept, slowest ${Math.round(slowestMs)} ms`,
    );
    return undefined;
  });
  await new Promise<void>((resolve) => {
    // Out of memory, or a fault of the fuzzer itself.
    worker.on('error', (error) => found(error.stack ?? error.message, input()));
    worker.on('exit', () => resolve());
  });
  clearInterval(watch);
  return findings;
}

async function reproduce(name: string, file: string): Promise<number> {
  const target = await findTarget(name);
  if (target === undefined) throw new Error(`no target "${name}"`);
  using _ = guardAllocations(256 << 20);
  const start = performance.now();
  const finding = findingOf(target, new Uint8Array(readFileSync(file)));
  say(finding?.stack ?? `nothing was found, in ${Math.round(performance.now() - start)} ms`);
  return finding === undefined ? 0 : 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    reproduce: { type: 'string' },
  },
});
const names = (await fuzzTargets()).map((target) => target.name);
const wanted = names.filter((name) =>
  positionals.some((pattern) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name)),
);
if (values.reproduce !== undefined)
  process.exitCode = await reproduce(positionals[0] ?? '', values.reproduce);
else if (wanted.length === 0) say(`targets, * for any letters: ${names.join(' ')}`);
else {
  let findings = 0;
  for (const name of wanted) findings += await fuzz(name, Number(values.seconds), Number(values.seed));
  say(`${wanted.length} targets, ${findings} findings`);
  process.exitCode = findings === 0 ? 0 : 1;
}
