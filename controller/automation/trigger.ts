/** What makes a rule fire: one file each in `triggers/`. A trigger only tells what it saw; whether that fires is the engine's to say. */
import type { Firing, Outcome } from './firing.js';

export interface Trigger {
  /** At most once. Disposing it leaves in place what a restart takes up again. */
  start(sink: TriggerSink): Disposable;
  /** The rule is gone, or waits for something else: removes what the trigger keeps at agents. Never throws. */
  retire(): Promise<void>;
  /** What it last saw, or why it sees nothing: one line. */
  describe(): string;
  /** Asks once and fires nothing. */
  probe(): Promise<Probe>;
  /** How often it could not see, since it was started. */
  readonly errors: number;
}

export interface TriggerSink {
  fire(firing: Omit<Firing, 'trigger' | 'alert'>): Outcome;
}

export interface Probe {
  readonly ok: boolean;
  readonly text: string;
  /** The condition holds now; undefined where that cannot be asked. */
  readonly holds?: boolean;
  /** Labels of something that it sees, to fill templates with. */
  readonly labels?: Readonly<Record<string, string>>;
}
