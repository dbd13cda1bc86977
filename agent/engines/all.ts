import type { Engine } from './engine.js';
import { forkEngine } from './fork/engine.js';
import { memEngine } from './mem.js';
import { observeEngine } from './observe/engine.js';
import { type PtraceOptions, ptraceEngine } from './ptrace/engine.js';
import { Turns } from './turns.js';
import { uprobeEngine } from './uprobe/engine.js';
import { watchEngine } from './watch/engine.js';

/** All engines of this build, in the order in which people see them. Which is preferred for what is in `agent/tracer/choose.ts`. */
export function allEngines(options: PtraceOptions = {}): readonly Engine[] {
  const turns = new Turns();
  return [
    uprobeEngine(),
    observeEngine(),
    ptraceEngine({ ...options, turns }),
    forkEngine(turns),
    memEngine(),
    watchEngine(),
  ];
}
