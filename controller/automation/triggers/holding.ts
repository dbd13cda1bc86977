/** Conditions that must hold for a while, one for each series. */

interface Held {
  readonly sinceMs: number;
  offered: boolean;
  accepted: boolean;
}

export interface Due<T> {
  readonly item: T;
  readonly key: string;
  readonly heldMs: number;
  /** It was offered before, and refused. */
  readonly again: boolean;
}

/**
 * A series is due once it held for so long, and again each time until it is accepted: what a cooldown refused fires when that is over, if it
 * still holds. Once accepted it must first cease to hold.
 */
export class Holding<T> {
  readonly #forMs: number;
  readonly #held = new Map<string, Held>();

  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  /** All those that hold now, and no others. */
  see(holding: ReadonlyMap<string, T>, nowMs: number): readonly Due<T>[] {
    for (const key of this.#held.keys()) if (!holding.has(key)) this.#held.delete(key);
    const due: Due<T>[] = [];
    for (const [key, item] of holding) {
      let held = this.#held.get(key);
      // A clock that was put back starts it anew.
      if (held === undefined || held.sinceMs > nowMs) {
        held = { sinceMs: nowMs, offered: false, accepted: false };
        this.#held.set(key, held);
      }
      const heldMs = nowMs - held.sinceMs;
      if (held.accepted || heldMs < this.#forMs) continue;
      due.push({ item, key, heldMs, again: held.offered });
      held.offered = true;
    }
    return due;
  }

  accept(key: string): void {
    const held = this.#held.get(key);
    if (held !== undefined) held.accepted = true;
  }

  /** Nobody could look: what held before may not have held meanwhile. */
  forget(): void {
    for (const [key, { accepted }] of this.#held) if (!accepted) this.#held.delete(key);
  }
}
