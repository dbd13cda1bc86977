/** What the front and the thread that reads logs say to each other. */
import type { LogFileRule } from '../policy/log-files.js';

export interface LogWatchSpec {
  readonly path: string;
  /** In RE2's syntax, known to compile. */
  readonly pattern: string;
  readonly rule: LogFileRule;
}

export type ToLogWorker =
  | { readonly kind: 'add'; readonly id: number; readonly watch: LogWatchSpec }
  | { readonly kind: 'remove'; readonly id: number };

export type FromLogWorker =
  /** What is written from now on is read. */
  | { readonly kind: 'added'; readonly id: number }
  /** At most one a second for each watch. */
  | {
      readonly kind: 'matched';
      readonly id: number;
      readonly timeMs: number;
      /** The newest line, cut. */
      readonly line: string;
      readonly count: number;
    }
  /** Why it cannot be read, or how far it lags; empty when it is read again. */
  | { readonly kind: 'state'; readonly id: number; readonly detail: string };
