/** What was started, to be taken down in the reverse order: each step in turn, a failed one told and no reason to leave out the rest. */
import { toStillframeError } from '../../format/error.js';

export class Closers implements AsyncDisposable {
  readonly #steps: { readonly name: string; readonly close: () => PromiseLike<void> | void }[] = [];
  readonly #failed: (step: string, message: string) => void;

  constructor(failed: (step: string, message: string) => void) {
    this.#failed = failed;
  }

  add(name: string, close: () => PromiseLike<void> | void): void {
    this.#steps.push({ name, close });
  }

  /** Also when called again while it works, each step runs once. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.close();
      } catch (error) {
        this.#failed(step.name, toStillframeError(error).message);
      }
    }
  }
}
