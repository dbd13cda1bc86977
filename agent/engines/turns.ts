/** One thread can trace a process at a time, whichever engine it works for: what would need another one waits for its turn. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>();

  async alone<T>(pid: number, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(pid);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return work();
    })();
    this.#last.set(pid, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(pid) === mine) this.#last.delete(pid);
    }
  }
}
