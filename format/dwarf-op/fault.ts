import { type Absent, absent } from '../absent.js';

/** Ends an evaluation; inside of this folder only. What goes out is the {@link Absent}. */
export class ExpressionFault extends Error {
  override readonly name = 'ExpressionFault';
  readonly absent: Absent;

  constructor(reason: Absent) {
    super(reason.detail);
    this.absent = reason;
  }
}

export function malformed(detail: string): ExpressionFault {
  return new ExpressionFault(absent('unsupported', `a malformed DWARF expression: ${detail}`));
}
