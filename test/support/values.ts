/** Values at literal places, and what is needed to render them. */
import { defaultLimits } from '../../format/limits.js';
import type { RenderContext } from '../../controller/types/render.js';
import type { Type } from '../../controller/types/type.js';
import type { Value } from '../../controller/types/value.js';
import { bytesOf, type LiteralRange, memoryOf } from './literal-memory.js';

export function place(type: Type, address: bigint): Value {
  return { type, place: { kind: 'memory', address } };
}

export function known(type: Type, ...parts: readonly (number | string | Uint8Array)[]): Value {
  return { type, place: { kind: 'bytes', bytes: bytesOf(...parts) } };
}

export function context(ranges: readonly LiteralRange[], more: Partial<RenderContext> = {}): RenderContext {
  return { memory: memoryOf(...ranges), limits: defaultLimits, ...more };
}
