/** One agent that is dialed, for as long as the fleet lives: again and again, each time on a channel of its own. */
import { toStillframeError, type StillframeError } from '../../format/error.js';

export interface Conversation extends Disposable {
  /** Resolves, with the reason, when it is over. */
  readonly closed: Promise<StillframeError>;
}

export interface DialingOptions<C extends Conversation> {
  /** Dials once; throws `unreachable`. */
  readonly connect: () => Promise<C>;
  readonly connected: (conversation: C) => void;
  /** It could not be reached; it will be tried again. */
  readonly failed: (error: StillframeError) => void;
  /** From 0 to 1; for tests. */
  readonly random?: () => number;
}

const firstDelayMs = 250;
const maxDelayMs = 15_000;
/** A conversation that lasted so long shows that all is well there: the next wait is a short one again. */
const lastedMs = 10_000;

export class Dialing<C extends Conversation> implements Disposable {
  readonly #options: DialingOptions<C>;
  /** Resolves when the first attempt is over, however it went. */
  readonly attempted: Promise<void>;
  #settleAttempted: () => void = () => undefined;
  #delayMs: number = firstDelayMs;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DialingOptions<C>) {
    this.#options = options;
    this.attempted = new Promise((resolve) => {
      this.#settleAttempted = resolve;
    });
    void this.#attempt();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#settleAttempted();
  }

  async #attempt(): Promise<void> {
    try {
      using conversation = await this.#options.connect();
      if (this.#closed) return;
      const startedMs = Date.now();
      this.#options.connected(conversation);
      this.#settleAttempted();
      await conversation.closed;
      if (Date.now() - startedMs >= lastedMs) this.#delayMs = firstDelayMs;
    } catch (error) {
      if (!this.#closed) this.#options.failed(toStillframeError(error));
    }
    this.#settleAttempted();
    if (!this.#closed) this.#wait();
  }

  /** Half of it is chance, so that many controllers, or agents, that lost each other at once do not come back at once. */
  #wait(): void {
    const random = this.#options.random ?? Math.random;
    const delayMs = this.#delayMs * (0.5 + random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, maxDelayMs);
    this.#timer = setTimeout(() => void this.#attempt(), delayMs);
  }
}
