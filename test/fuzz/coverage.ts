/** Which blocks of the product's code ran in this thread, by V8's own counters: the guide of the fuzzer. */
import { Session, type Profiler } from 'node:inspector';

export class BlockCoverage implements Disposable {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks that have run since this began. */
  get size(): number {
    return this.#seen.size;
  }

  /** The blocks that have run since the last call and had not run before. */
  take(): ReadonlySet<string> {
    const fresh = new Set<string>();
    for (const block of this.#takeAll()) {
      if (this.#seen.has(block)) continue;
      this.#seen.add(block);
      fresh.add(block);
    }
    return fresh;
  }

  /** Whether one of some blocks has run since the last call of this or of `take`. */
  takes(blocks: ReadonlySet<string>): boolean {
    return [...this.#takeAll()].some((block) => blocks.has(block));
  }

  *#takeAll(): Generator<string> {
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    for (const { scriptId, url, functions } of result) {
      if (!/\/dist\/(format|controller|agent)\//.test(url)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) yield `${scriptId}:${startOffset}-${endOffset}`;
        }
      }
    }
  }

  /** NB: a session answers before `post` returns. */
  #post(method: string, params: object = {}): unknown {
    let answer: { readonly error: Error | null; readonly result: unknown } | undefined;
    this.#session.post(method, params, (error, result) => {
      answer = { error, result };
    });
    if (answer === undefined) throw new Error(`${method} did not answer at once`);
    if (answer.error !== null) throw answer.error;
    return answer.result;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}
