/**
 * The thread that a fuzzer works in: mutates inputs, keeps those that reach new blocks, tells findings. The input at hand lies in shared
 * memory, so that whoever watches this thread has it even when it never comes back.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { BlockCoverage } from './coverage.js';
import { findingOf, guardAllocations, type FuzzTarget } from './fuzz-target.js';
import {
  maxInputBytes,
  sharedHeadBytes,
  type FuzzFinding,
  type FuzzOrder,
  type FuzzProgress,
} from './fuzz-order.js';
import { minimised, signatureOf } from './minimise.js';
import { mutate, seededRandom, type Random } from './mutate.js';
import { findTarget } from './targets.js';

/** Inputs between two looks at the coverage, which costs more than most runs: more of them where nothing new turns up. */
const minBatch = 32;
const maxBatch = 1024;
/** And no longer than so. */
const maxBatchMs = 1000;
const maxFindings = 20;
const maxAllocation = 256 << 20;

function tell(message: FuzzFinding | FuzzProgress): void {
  // NB: the empty list of transfers tells the linter that this is no window.
  parentPort?.postMessage(message, []);
}

function inputsOf(folder: string): Uint8Array[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

class Fuzzer {
  readonly #target: FuzzTarget;
  readonly #order: FuzzOrder;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #known = new Set<string>();
  readonly #corpus: Uint8Array[];
  #runs = 0;
  #slowestMs = 0;

  constructor(target: FuzzTarget, order: FuzzOrder) {
    this.#target = target;
    this.#order = order;
    this.#words = new Uint32Array(order.shared, 0, 2);
    this.#bytes = new Uint8Array(order.shared, sharedHeadBytes);
    this.#corpus = [...target.seeds(), ...inputsOf(join(order.folder, 'corpus'))];
  }

  run(): void {
    using coverage = new BlockCoverage();
    const random = seededRandom(this.#order.seed);
    for (const input of this.#corpus) this.#try(input);
    coverage.take();
    const end = Date.now() + this.#order.seconds * 1000;
    let told = Date.now();
    let batch = minBatch;
    while (Date.now() < end && this.#known.size < maxFindings) {
      const inputs = this.#batch(random, batch);
      const fresh = coverage.take();
      if (fresh.size > 0) this.#keep(inputs, fresh, coverage);
      batch = fresh.size > 0 ? minBatch : Math.min(2 * batch, maxBatch);
      if (Date.now() - told > 5000) {
        told = Date.now();
        this.#tell('progress', coverage.size);
      }
    }
    this.#tell('done', coverage.size);
  }

  /** Makes so many inputs and runs them. */
  #batch(random: Random, size: number): Uint8Array[] {
    const { hotBytes } = this.#target;
    const inputs: Uint8Array[] = [];
    const end = Date.now() + maxBatchMs;
    while (inputs.length < size && (inputs.length < minBatch || Date.now() < end)) {
      const seed = this.#corpus[random.below(this.#corpus.length)] ?? new Uint8Array();
      const other = this.#corpus[random.below(this.#corpus.length)] ?? seed;
      const maxBytes = Math.min(maxInputBytes, 2 * seed.length + 64);
      const input = mutate(seed, { random, other, maxBytes, hotBytes });
      this.#try(input);
      inputs.push(input);
    }
    return inputs;
  }

  /** Of a batch that reached new blocks, those inputs that do so alone. */
  #keep(inputs: readonly Uint8Array[], fresh: ReadonlySet<string>, coverage: BlockCoverage): void {
    for (const input of inputs) {
      this.#try(input);
      if (!coverage.takes(fresh)) continue;
      this.#corpus.push(input);
      const name = createHash('sha256').update(input).digest('hex').slice(0, 16);
      writeFileSync(join(this.#order.folder, 'corpus', name), input);
    }
  }

  #try(input: Uint8Array): void {
    this.#bytes.set(input);
    Atomics.store(this.#words, 1, input.length);
    const start = performance.now();
    const error = findingOf(this.#target, input);
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - start);
    Atomics.store(this.#words, 0, ++this.#runs);
    if (error === undefined) return;
    const signature = signatureOf(error);
    if (this.#known.has(signature)) return;
    this.#known.add(signature);
    const bytes = minimised(this.#target, input, signature);
    tell({ kind: 'finding', bytes, stack: error.stack ?? error.message });
  }

  #tell(kind: FuzzProgress['kind'], blocks: number): void {
    const corpus = this.#corpus.length;
    const progress = { kind, runs: this.#runs, blocks, corpus, slowestMs: this.#slowestMs };
    tell(progress);
  }
}

const order = workerData as FuzzOrder | null;
const target = order === null ? undefined : await findTarget(order.target);
if (order !== null && target !== undefined) {
  mkdirSync(join(order.folder, 'corpus'), { recursive: true });
  using _ = guardAllocations(maxAllocation);
  new Fuzzer(target, order).run();
}
