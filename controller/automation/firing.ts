/** What a trigger tells the engine, and what the engine answers. */
import type { TriggerKind } from './rule.js';

export interface Firing {
  /** `manual` for whatever is fired by hand. */
  readonly trigger: TriggerKind;
  /** One line for people: what was seen, with its numbers. */
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** `PID@HOST` of the process that it is about. */
  readonly self?: string;
  /** The alert that it is: durable, and never handled twice. */
  readonly alert?: { readonly key: string; readonly number: number };
  /** The trigger said so before and was refused: it is not counted again. */
  readonly again?: boolean;
}

/** In the order in which they are checked. */
export const bounds = ['disabled', 'suspended', 'allow', 'dry-run', 'cooldown', 'per-day'] as const;
export type Bound = (typeof bounds)[number];

export type Outcome =
  | { readonly kind: 'fired'; readonly incident: string }
  /** An incident is open: it counts this, and nothing more is armed. */
  | { readonly kind: 'repeated'; readonly incident: string }
  | { readonly kind: 'refused'; readonly bound: Bound; readonly why: string }
  /** It could not be written down, so that nothing was done. */
  | { readonly kind: 'failed'; readonly why: string };
