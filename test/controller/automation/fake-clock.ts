import type { Clock } from '../../../controller/automation/clock.js';

/** Time that passes when a test says so; what is due in between is called in its order, and what that sets off may happen. */
export class FakeClock implements Clock {
  #nowMs: number;
  #timers: { readonly atMs: number; readonly number: number; readonly callback: () => void }[] = [];
  #count = 0;

  constructor(nowMs: number = Date.UTC(2026, 0, 5, 12)) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Without anything being due. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  after(ms: number, callback: () => void): Disposable {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), number: this.#count++, callback };
    this.#timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers = this.#timers.filter((each) => each !== timer);
      },
    };
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const [next] = this.#timers
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs || a.number - b.number);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

/** All that only waits for promises, or for the next turn, has happened. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
