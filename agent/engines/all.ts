import type { Engine } from './engine.js';
import { memEngine } from './mem.js';

/** All engines of this build, in the order in which they are preferred (points and now have the same order). */
export function allEngines(): readonly Engine[] {
  return [memEngine()];
}
