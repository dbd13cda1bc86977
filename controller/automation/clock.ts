/** Time as automation sees it; tests bring their own. */

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Calls back once, so much later, unless it is disposed before. Keeps no process alive. */
  after(ms: number, callback: () => void): Disposable;
}

/** Node fires a longer timer at once. */
const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, ms), maxTimerMs));
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Calls back at that interval until it is disposed. A call that takes longer than the interval delays the next. */
export function every(clock: Clock, ms: number, callback: () => void): Disposable {
  let timer: Disposable | undefined;
  let over = false;
  const again = (): void => {
    timer = clock.after(ms, () => {
      callback();
      if (!over) again();
    });
  };
  again();
  return {
    [Symbol.dispose]() {
      over = true;
      timer?.[Symbol.dispose]();
    },
  };
}
