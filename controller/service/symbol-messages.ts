/** What a controller and its thread for debug information say to each other. */
import { StillframeError, type ErrorCode, type ErrorDetail } from '../../format/error.js';
import type { ValueDocument } from '../types/value-document.js';
import type { EvaluateQuestion, PlannedModule, PlanQuestion, ShowQuestion } from './symbol-answers.js';

export type SymbolQuestion =
  | { readonly kind: 'plan'; readonly question: PlanQuestion }
  | { readonly kind: 'show'; readonly question: ShowQuestion }
  | { readonly kind: 'evaluate'; readonly question: EvaluateQuestion }
  | { readonly kind: 'signature'; readonly question: string }
  | { readonly kind: 'leaves'; readonly question: string };

export interface ToSymbolWorker {
  readonly id: number;
  readonly asked: SymbolQuestion;
}

export type FromSymbolWorker =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: PlainError }
  /** For the log. */
  | { readonly kind: 'log'; readonly message: string };

/** An error as data: what is thrown into another thread loses its class. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: ErrorDetail;
  readonly hint: string | undefined;
  readonly candidates: readonly string[];
}

export function plainError({ code, message, detail, hint, candidates }: StillframeError): PlainError {
  return { code, message, detail, hint, candidates };
}

export function errorOf({ code, message, detail, hint, candidates }: PlainError): StillframeError {
  return new StillframeError(code, message, { detail, candidates, ...(hint === undefined ? {} : { hint }) });
}

export type PlainPlan = { readonly planned: PlannedModule } | { readonly error: PlainError };
export type PlainEvaluation = { readonly value: ValueDocument } | { readonly error: PlainError };
