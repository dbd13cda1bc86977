/**
 * The JSON of a value, as CLI.md defines it. Produced by `render`, printed by the faces, compared by tests.
 */
import type { AbsentReason } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';

export type ValueKind =
  | 'int'
  | 'float'
  | 'bool'
  | 'char'
  | 'enum'
  | 'pointer'
  | 'struct'
  | 'union'
  | 'class'
  | 'array'
  | 'string'
  | 'slice'
  | 'map'
  | 'variant'
  | 'function'
  | 'void';

export interface ValueDocument {
  readonly type: string;
  readonly kind: ValueKind;
  /** Scalars exactly: decimal integers and enums, shortest round-trip floats, `true`/`false`, pointers in hex. */
  readonly value?: string;
  /** What a person reads: a string's characters, an enumerator's name, a function's name. */
  readonly text?: string;
  readonly address?: string;
  readonly fields?: readonly VariableDocument[];
  readonly elements?: readonly ValueDocument[];
  readonly target?: ValueDocument;
  readonly length?: number;
  readonly provenance?: Provenance;
  readonly absent?: AbsentDocument;
}

export interface VariableDocument extends ValueDocument {
  readonly name: string;
  readonly parameter?: boolean;
  readonly base?: boolean;
  readonly shadowed?: boolean;
}

export interface AbsentDocument {
  readonly reason: AbsentReason;
  readonly detail: string;
  readonly address?: string;
  readonly length?: number;
  readonly hint?: string;
}
