/** What only wraps another object: std::atomic, chrono, the adapters stack, queue and priority_queue. */
import { sizeOf } from '../layout.js';
import type { Type } from '../type.js';
import type { View } from '../view.js';
import { argument, firstPartOf, type Part, partOf } from './part.js';

export function atomicView(type: Type): View | undefined {
  const content = firstPartOf(
    type,
    ['_M_i'],
    ['_M_base', '_M_i'],
    ['_M_b', '_M_p'],
    ['_M_fp'],
    ['__a_', '__a_value'],
  );
  const value = argument(type, 0);
  if (content === undefined || value === undefined || sizeOf(content.type) !== sizeOf(value))
    return undefined;
  return wrapping({ type: value, offset: content.offset });
}

export function atomicFlagView(type: Type): View | undefined {
  const content = firstPartOf(type, ['_M_i'], ['__a_', '__a_value']);
  return content === undefined
    ? undefined
    : wrapping({
        type: { kind: 'base', name: 'bool', byteSize: 1, encoding: 'boolean' },
        offset: content.offset,
      });
}

/** In units of its ratio, which its type names. */
export function durationView(type: Type): View | undefined {
  return wrapping(firstPartOf(type, ['__r'], ['__rep_']));
}

export function timePointView(type: Type): View | undefined {
  return wrapping(partOf(type, '__d') ?? partOf(type, '__d_'));
}

/** In the order in which the container below has them: a queue's front first, a stack's top last, a priority_queue's top first. */
export function adapterView(type: Type): View | undefined {
  return wrapping(partOf(type, 'c'));
}

function wrapping(content: Part | undefined): View | undefined {
  if (content === undefined) return undefined;
  return { kind: 'wrapper', content: { type: () => content.type, offset: content.offset } };
}
