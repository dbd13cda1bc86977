/**
 * What a controller is told without having asked: by subject, and of each subject only what is true when it can be sent. So a controller that
 * does not read costs one entry a subject, however much happens meanwhile; and what has changed back is never told.
 */
import type { EventProperties } from '../../proto/service.js';

/** Called when it can be sent. Undefined: there is nothing to tell after all. */
export type Take = () => EventProperties | undefined;

export class Outbox implements Disposable {
  readonly #send: (event: EventProperties) => Promise<void>;
  readonly #subjects = new Map<string, Take>();
  #isSending = false;

  /** `send` resolves when more may be sent. */
  constructor(send: (event: EventProperties) => Promise<void>) {
    this.#send = send;
  }

  /** There is something to tell of the subject. Sent before it returns where nothing else is being sent. */
  post(subject: string, take: Take): void {
    this.#subjects.set(subject, take);
    if (!this.#isSending) void this.#drain();
  }

  drop(subject: string): void {
    this.#subjects.delete(subject);
  }

  [Symbol.dispose](): void {
    this.#subjects.clear();
  }

  async #drain(): Promise<void> {
    this.#isSending = true;
    try {
      for (;;) {
        const [next] = this.#subjects;
        if (next === undefined) return;
        const [subject, take] = next;
        this.#subjects.delete(subject);
        const event = take();
        if (event !== undefined) await this.#send(event);
      }
    } catch {
      // It hung up: there is nobody to tell, nor to complain to.
      this.#subjects.clear();
    } finally {
      this.#isSending = false;
    }
  }
}
