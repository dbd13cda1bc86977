/** A value as short text: `int -7`, `struct order at 0x7f…`, `absent unsupported: division by zero`. */
import { isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import { numericOf } from '../../../controller/expression/c-types.js';
import { checkExpression } from '../../../controller/expression/check.js';
import { evaluate, evaluateScalar } from '../../../controller/expression/evaluate.js';
import { stripType } from '../../../controller/types/layout.js';
import { typeName } from '../../../controller/types/type-name.js';
import type { Program } from './program.js';

export function show(text: string, program: Program): string {
  const node = checkExpression(text, program);
  const frame = program.frame();
  const { type, place } = evaluate(node, frame);
  const name = typeName(type);
  if (place.kind === 'absent') return `absent ${place.absent.absent}: ${place.absent.detail}`;
  if (numericOf(type) === undefined) {
    if (place.kind === 'memory') return `${name} at ${hex(place.address)}`;
    return `${name} = ${Buffer.from(place.bytes).toString('hex')}`;
  }
  const value = evaluateScalar(node, frame);
  if (isAbsent(value)) return `absent ${value.absent}: ${value.detail}`;
  const isPointer = stripType(type).kind === 'pointer';
  return `${name} ${isPointer && typeof value === 'bigint' ? hex(value) : String(value)}`;
}
