/** Disposables held together: disposed in reverse order, unless moved to another holder first. What `DisposableStack` will be. */
export class Holder implements Disposable {
  #held: Disposable[] = [];

  use<T extends Disposable>(resource: T): T {
    this.#held.push(resource);
    return resource;
  }

  /** A new holder with everything; this one holds nothing afterwards. */
  move(): Holder {
    const other = new Holder();
    other.#held = this.#held;
    this.#held = [];
    return other;
  }

  [Symbol.dispose](): void {
    const errors: unknown[] = [];
    for (const resource of this.#held.splice(0).toReversed()) {
      try {
        resource[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
