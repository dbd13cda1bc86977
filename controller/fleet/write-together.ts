/**
 * Writes of one moment as one transaction: a point that is armed at two hundred agents at once waits for the disk once, and not two hundred
 * times.
 */
import { StillframeError } from '../../format/error.js';
import type { Place } from './kept-point.js';

export class WriteTogether implements Disposable {
  readonly #write: (places: readonly Place[]) => void;
  readonly #places = new Set<Place>();
  #turn: NodeJS.Immediate | undefined;
  #written: Promise<void> = Promise.resolve();
  #settle: (error?: unknown) => void = () => undefined;

  /** `write` makes all of them durable, or throws. */
  constructor(write: (places: readonly Place[]) => void) {
    this.#write = write;
  }

  /** Resolves when it is durable; rejects when it could not be written. */
  write(place: Place): Promise<void> {
    this.#places.add(place);
    if (this.#turn === undefined) {
      this.#written = new Promise((resolve, reject) => {
        this.#settle = (error) => (error === undefined ? resolve() : reject(error));
      });
      this.#turn = setImmediate(() => this.#flush());
    }
    return this.#written;
  }

  [Symbol.dispose](): void {
    if (this.#turn === undefined) return;
    clearImmediate(this.#turn);
    this.#settle(new StillframeError('unreachable', 'the controller is being stopped'));
  }

  #flush(): void {
    const places = [...this.#places];
    this.#places.clear();
    this.#turn = undefined;
    const settle = this.#settle;
    try {
      this.#write(places);
      settle();
    } catch (error) {
      settle(error);
    }
  }
}
