import { stripType } from './layout.js';
import type { PointerType, Type } from './type.js';
import type { ValueKind } from './value-document.js';

/** The `kind` of a value of this type, whether its bytes are there or not. */
export function kindOf(type: Type): ValueKind {
  const plain = stripType(type);
  switch (plain.kind) {
    case 'base':
      switch (plain.encoding) {
        case 'boolean':
          return 'bool';
        case 'float':
        case 'complex-float':
          return 'float';
        case 'utf':
          return 'char';
        case 'signed-char':
        case 'unsigned-char':
          return plain.byteSize === 1 ? 'char' : 'int';
        case 'signed':
        case 'unsigned':
        case 'other':
          break;
      }
      return 'int';
    case 'pointer':
      return plain.flavor === 'pointer' ? 'pointer' : kindOfReferent(plain);
    case 'struct':
    case 'union':
    case 'class':
    case 'array':
    case 'enum':
    case 'function':
      return plain.kind;
    case 'void':
    case 'unknown':
      break;
  }
  return 'void';
}

function kindOfReferent(reference: PointerType): ValueKind {
  const target = stripType(reference.target());
  return target.kind === 'pointer' && target.flavor !== 'pointer' ? 'pointer' : kindOf(target);
}
