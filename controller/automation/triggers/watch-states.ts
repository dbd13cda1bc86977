/** How a watch stands at the hosts that it is on. */

const maxHosts = 1000;

export class WatchStates {
  readonly #down = new Map<string, string>();
  readonly #up = new Set<string>();
  errors = 0;

  note(host: string, detail: string): void {
    if (detail === '') {
      this.#down.delete(host);
      if (this.#up.size < maxHosts) this.#up.add(host);
      return;
    }
    this.#up.delete(host);
    if (this.#down.get(host) !== detail) this.errors++;
    if (this.#down.size < maxHosts || this.#down.has(host)) this.#down.set(host, detail);
  }

  get areAllDown(): boolean {
    return this.#down.size > 0 && this.#up.size === 0;
  }

  describe(seen: string): string {
    const [first, ...others] = this.#down;
    if (first === undefined) return seen;
    const more = others.length === 0 ? '' : ` (and on ${others.length} more)`;
    return `${seen}; on ${first[0]}: ${first[1]}${more}`;
  }
}
